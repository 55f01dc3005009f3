"""The script of the incident, as data, and where in it we are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from breakers.clock import SYSTEM_CLOCK, Clock
from examples.shop.behaviour import NORMAL, Behaviour


@dataclass(frozen=True, slots=True)
class Phase:
    """What changes `at_s` seconds into the incident, on top of what changed before."""

    at_s: float
    title: str
    story: str
    behaviours: Mapping[str, Behaviour] = field(default_factory=dict)


TRAFFIC = 1.4
LOWEST_PACE, HIGHEST_PACE = 0.1, 100.0
SCRIPT = (
    Phase(
        0.0,
        "posts is slow",
        "Traffic is up 40 %. posts answers in 2 seconds; nobody waits longer than half a second.",
        {"posts": Behaviour(median=2.0, p99=3.0)},
    ),
    Phase(
        20.0,
        "posts fails",
        "posts gives up: nearly every answer is a 500, and fast.",
        {"posts": Behaviour(median=0.045, p99=0.150, errors=0.95)},
    ),
    Phase(
        35.0,
        "social lies",
        "social answers 500 now and then, and 200 with half a body now and then.",
        {"social": Behaviour(median=0.060, p99=0.160, errors=0.3, corrupt=0.4)},
    ),
    Phase(
        50.0,
        "the database drowns",
        "users-db is at 95 % of what it can do: 4 seconds a query instead of 40 ms.",
        {"users-db": Behaviour(median=4.0, p99=5.0)},
    ),
)


def checked_pace(pace: float) -> float:
    """How many times faster than written the script plays.

    Raises:
        ValueError: it is not from 0.1 to 100.
    """
    if not LOWEST_PACE <= pace <= HIGHEST_PACE:
        raise ValueError(f"pace is {pace}; it must be from {LOWEST_PACE:g} to {HIGHEST_PACE:g}")
    return pace


class Incident:
    """Where in the script we are. What the dependencies should be like is a function of the time
    since the start, so that it may be applied again and again.

    Args:
        pace: 2 plays the script twice as fast.
    """

    def __init__(self, pace: float = 1.0, clock: Clock = SYSTEM_CLOCK) -> None:
        self._usual = self._pace = checked_pace(pace)
        self._clock = clock
        self._started: float | None = None

    def start(self, pace: float | None = None) -> None:
        """Begin, at a pace of its own if one is given; one that runs goes on as it is.

        Raises:
            ValueError: the pace is not from 0.1 to 100.
        """
        wanted = self._usual if pace is None else checked_pace(pace)
        if self._started is None:
            self._started, self._pace = self._clock.monotonic(), wanted

    def stop(self) -> None:
        """End, wherever it is."""
        self._started = None

    @property
    def running(self) -> bool:
        """Whether the dependencies are being disturbed."""
        return self._started is not None

    @property
    def elapsed_s(self) -> float:
        """Seconds into the script; 0 where it does not run."""
        if self._started is None:
            return 0.0
        return (self._clock.monotonic() - self._started) * self._pace

    @property
    def phase(self) -> int | None:
        """The index in `SCRIPT` of the phase that was reached last."""
        if self._started is None:
            return None
        elapsed = self.elapsed_s
        return max(index for index, phase in enumerate(SCRIPT) if phase.at_s <= elapsed)

    def behaviours(self) -> dict[str, Behaviour]:
        """What each dependency should be like now."""
        wanted = dict(NORMAL)
        phase = self.phase
        if phase is not None:
            for reached in SCRIPT[: phase + 1]:
                wanted.update(reached.behaviours)
        return wanted

    @property
    def volume(self) -> float:
        """How much traffic there should be, where 1 is the usual."""
        return TRAFFIC if self.running else 1.0
