"""What rules see of a breaker: facts of one moment, and the counts of whole minutes."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

COUNTED: Final = (
    "success", "failure", "timeout", "rejected", "bulkhead_full", "retry", "fallback",
)  # fmt: skip
MINUTES_KEPT: Final = 361
FORCED: Final = frozenset({"forced_open", "forced_closed", "metrics_only"})
# Trips remembered for an instance: rules count at most this many.
TRIPS_KEPT: Final = 100


class InstanceFacts(NamedTuple):
    """A breaker on one instance. `since` is Unix time of its state."""

    state: str
    since: float
    version: str = ""
    zone: str = ""
    stale: bool = False


@dataclass(slots=True)
class BreakerFacts:
    """A breaker at one moment. `override_ends` and `unapplied_since` are Unix times."""

    instances: Mapping[str, InstanceFacts]
    override_ends: float | None = None
    unapplied_since: float | None = None
    would_be_open: bool = False
    # Times of the latest trips of each instance; kept by the evaluator.
    trips: dict[str, deque[float]] = field(default_factory=dict)

    def flags(self) -> frozenset[str]:
        """Which kinds of rules could hold. Most breakers have none."""
        found = set()
        for each in self.instances.values():
            if each.stale:
                found.add("stale")
            elif each.state in {"open", "half_open"}:
                found.add(each.state)
            elif each.state in FORCED:
                found.add("override")
        if self.trips:
            found.add("trips")
        if self.override_ends is not None:
            found.add("override")
        return frozenset(found)

    def open_since(self, share: float, at_least: int) -> float | None:
        """Since when so many live instances are open."""
        live = [each for each in self.instances.values() if not each.stale]
        times = sorted(each.since for each in live if each.state == "open")
        needed = max(at_least, 1, -int(-share * len(live) // 1))
        return times[needed - 1] if len(times) >= needed else None

    def since_state(self, state: str) -> float | None:
        """Since when an instance is in a state."""
        times = [e.since for e in self.instances.values() if e.state == state and not e.stale]
        return min(times, default=None)

    def forced_since(self) -> float | None:
        """Since when an instance is forced."""
        times = [e.since for e in self.instances.values() if e.state in FORCED and not e.stale]
        return min(times, default=None)

    def silent_since(self, at_least: int) -> float | None:
        """Since when so many instances are silent."""
        times = sorted(each.since for each in self.instances.values() if each.stale)
        return times[at_least - 1] if len(times) >= at_least else None

    def disagreement_since(self, share: float) -> float | None:
        """Since when the smaller of the open and the closed side has a share of the instances."""
        live = [each for each in self.instances.values() if not each.stale]
        opened = [each.since for each in live if each.state == "open"]
        closed = [each.since for each in live if each.state == "closed"]
        if not opened or not closed or min(len(opened), len(closed)) < share * len(live):
            return None
        return max(min(opened), min(closed))

    def flapping_since(self, trips: int, within_s: float, now: float) -> float | None:
        """When an instance completed so many trips within a time that ends now."""
        found = [
            times[-1]
            for times in self.trips.values()
            if len(times) >= trips and times[-trips] > now - within_s
        ]
        return min(found, default=None)


class MinuteWindow:
    """The counts of a breaker's last minutes, oldest first."""

    __slots__ = ("_minutes",)

    def __init__(self) -> None:
        self._minutes: deque[tuple[int, ...]] = deque(maxlen=MINUTES_KEPT)

    def append(self, counts: Mapping[str, int] | None) -> None:
        """Add the next minute; None if the breaker had no calls."""
        self._minutes.append(tuple(counts.get(name, 0) for name in COUNTED) if counts else _NONE)

    def sums(self, minutes: int) -> dict[str, int]:
        """The sums over the last minutes."""
        rows = list(self._minutes)[-minutes:]
        sums = [sum(column) for column in zip(*rows, strict=True)] if rows else _NONE
        return dict(zip(COUNTED, sums, strict=True))

    def ran(self, minutes: int) -> int:
        """Calls that reached the dependency."""
        sums = self.sums(minutes)
        return sums["success"] + sums["failure"] + sums["timeout"]

    def calls(self, minutes: int) -> int:
        """All calls, the refused ones included."""
        sums = self.sums(minutes)
        return self.ran(minutes) + sums["rejected"] + sums["bulkhead_full"]

    def failed_share(self, minutes: int) -> float:
        """The share of calls that failed, timed out or were refused."""
        sums = self.sums(minutes)
        bad = sums["failure"] + sums["timeout"] + sums["rejected"] + sums["bulkhead_full"]
        return bad / total if (total := self.calls(minutes)) else 0.0

    @property
    def is_idle(self) -> bool:
        """Whether no minute has any call."""
        return not any(map(any, self._minutes))


_NONE: Final = (0,) * len(COUNTED)
