"""Which level answers for a range, and how far apart its points are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dashboard.history.levels import DAY, HOUR, LEVELS, MINUTE

POINTS: Final = 400
# Each is a multiple of the step of every level that can serve it.
_STEPS: Final = (
    *(10, 20, 30),
    *(n * MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * HOUR for n in (1, 2, 3, 6, 12)),
    *(n * DAY for n in (1, 2, 7, 14, 30)),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Points from `begin` up to `end`, `step_s` apart, out of the level with this index.

    `begin` is a multiple of the step, `end` of ten seconds: the last point may be of less than a
    whole step.
    """

    level: int
    step_s: int
    begin: int
    end: int

    @property
    def starts(self) -> range:
        """When each point starts."""
        return range(self.begin, self.end, self.step_s)


def plan(from_: float, to: float, now: float, step_s: float = 0) -> Plan:
    """How to show a range of Unix times in at most `POINTS` points, at least `step_s` apart.

    The finest level that still keeps the beginning decides how fine the points can be. The ten
    seconds that are still filling are left out.

    >>> now = 1_800_000_000.0
    >>> [plan(now - hours * 3600, now, now).step_s for hours in (1, 6, 24, 7 * 24, 30 * 24)]
    [10, 60, 300, 1800, 7200]
    """
    finest = next((i for i, each in enumerate(LEVELS) if each.keeps(from_, now)), len(LEVELS) - 1)
    # One more may come from rounding the beginning down.
    wanted = max(step_s, (to - from_) / (POINTS - 1))
    possible = [step for step in _STEPS if step % LEVELS[finest].step_s == 0]
    step = next((each for each in possible if each >= wanted), possible[-1])
    level = max(i for i, each in enumerate(LEVELS) if step % each.step_s == 0)
    begin = max(int(from_ // step), int(to // step) - POINTS + 1) * step
    return Plan(level, step, begin, LEVELS[0].floor(min(to, now)))
