"""The levels of history: how fine, and for how long.

Every datum is first written at the finest level that still keeps its time, and is carried to each
coarser one exactly once: by the rollup task, or, where that has passed its time already, at once.
`Rolled.to` is the mark between the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Level:
    """Buckets of `step_s` seconds, kept for `kept_s`, in partitions of `partition_s`. The rollup
    carries a bucket on when it is `settle_s` old, `chunk_s` at a time. Pages of the table are
    filled to `fill_pct`: a row that every checkpoint updates needs free space in its page."""

    table: str
    step_s: int
    kept_s: int
    partition_s: int
    settle_s: int = 0
    chunk_s: int = 0
    fill_pct: int = 100

    def floor(self, at: float) -> int:
        """The start of the bucket that a time is in."""
        return int(at // self.step_s) * self.step_s

    def keeps(self, at: float, now: float) -> bool:
        """Whether a time is not too old for this level."""
        return at >= now - self.kept_s


LEVELS: Final = (
    Level("history_tenseconds", 10, DAY, 6 * HOUR, fill_pct=50),
    Level("history_minute", MINUTE, 14 * DAY, DAY, settle_s=2 * MINUTE, chunk_s=10 * MINUTE),
    Level("history_hour", HOUR, 730 * DAY, 30 * DAY, settle_s=10 * MINUTE, chunk_s=6 * HOUR),
)
TRANSITIONS: Final = Level("history_transition", 1, 730 * DAY, 30 * DAY)
# So many buckets at most is one report spread over; a longer one goes to a coarser level. Agents
# merge what they could not send into reports of at most a minute.
_SPREAD: Final = 12


def finest_for(span_s: float) -> int:
    """The index of the finest level at which a report over so many seconds is kept."""
    for index, level in enumerate(LEVELS):
        if span_s <= _SPREAD * level.step_s:
            return index
    return len(LEVELS) - 1


def buckets_for(span_s: float) -> int:
    """How many rows, at most, the counts of one breaker over so many seconds become."""
    return int(span_s // LEVELS[finest_for(span_s)].step_s) + 1


def homes(
    start: float, finest: int, now: float, rolled_to: Sequence[float]
) -> Iterator[tuple[int, int]]:
    """Where what happened at a time is to be written: indexes of levels, and starts of buckets.

    `rolled_to[i]` is how far level i has been filled from the one below; nothing younger needs to
    be written there. What is too old for every level is written nowhere.

    >>> list(homes(95, 0, 100, (0, 60, 0)))
    [(0, 90)]
    >>> list(homes(55, 0, 100, (0, 60, 0)))
    [(0, 50), (1, 0)]
    """
    written = False
    for index in range(finest, len(LEVELS)):
        level = LEVELS[index]
        if not level.keeps(start, now):
            continue
        if not written or level.floor(start) < rolled_to[index]:
            yield index, level.floor(start)
        written = True
