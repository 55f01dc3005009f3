"""What rules see of a breaker: facts of one moment, and the counts of whole minutes."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypedDict

COUNTED: Final = (
    "success", "failure", "timeout", "rejected", "bulkhead_full", "retry", "fallback",
)  # fmt: skip
FORCED: Final = frozenset({"forced_open", "forced_closed", "metrics_only", "forced_partial"})
# Trips remembered for an instance: rules count at most this many.
TRIPS_KEPT: Final = 100
# What a rule needs to hold at all; most breakers have none of it.
OPEN, HALF_OPEN, OVERRIDE, STALE, TRIPS, SPLIT, COUNTS, POLICY = 1, 2, 4, 8, 16, 32, 64, 128


class InstanceFacts(NamedTuple):
    """A breaker on one instance. `since` is Unix time of its state."""

    state: str
    since: float
    version: str = ""
    zone: str = ""
    stale: bool = False
    tags: tuple[str, ...] = ()


Instances = Mapping[str, InstanceFacts]


class Row(TypedDict):
    """A breaker on one instance, as frames have it."""

    id: str
    state: str
    since_at: float
    stale: bool


class BreakerFacts:
    """A breaker at one moment, summed up once for all rules. `override_ends`, `unapplied_since` (of
    an override) and `policy_unapplied_since` are Unix times. `opened` are the times of `open_ids`.
    `instances` may be a function that makes them: few rules look at single instances."""

    __slots__ = (
        "_instances", "closed", "flags", "forced", "half_open", "live", "open_ids", "opened",
        "override_ends", "policy_unapplied_since", "silent", "trips", "unapplied_since",
        "would_be_open",
    )  # fmt: skip

    def __init__(
        self,
        instances: Instances | Callable[[], Instances],
        override_ends: float | None = None,
        unapplied_since: float | None = None,
        would_be_open: bool = False,
        trips: Mapping[str, list[float]] | None = None,
        rows: Sequence[Row] | None = None,
        is_idle: bool = False,
        policy_unapplied_since: float | None = None,
    ) -> None:
        self._instances = instances
        self.override_ends = override_ends
        self.unapplied_since = unapplied_since
        self.policy_unapplied_since = policy_unapplied_since
        self.would_be_open = would_be_open
        self.trips = trips or {}
        if rows is None:
            rows = [
                {"id": id, "state": e.state, "since_at": e.since, "stale": e.stale}
                for id, e in self.instances.items()
            ]
        self._sum_up(rows)
        if is_idle:
            # Half-open where nobody calls: it waits for a test call and harms nobody.
            self.half_open = None
        self.flags = (
            (OPEN if self.opened else 0)
            | (SPLIT if self.opened and self.closed is not None else 0)
            | (HALF_OPEN if self.half_open is not None else 0)
            | (STALE if self.silent else 0)
            | (OVERRIDE if self.forced is not None or override_ends is not None else 0)
            | (TRIPS if self.trips else 0)
            | (POLICY if policy_unapplied_since is not None else 0)
        )

    @property
    def instances(self) -> Instances:
        """The instances by identifier."""
        if callable(self._instances):
            self._instances = self._instances()
        return self._instances

    def _sum_up(self, rows: Sequence[Row]) -> None:
        opened: list[float] = []
        ids: list[str] = []
        silent: list[float] = []
        self.half_open = self.forced = self.closed = None
        live = 0
        for each in rows:
            since = each["since_at"]
            if each["stale"]:
                silent.append(since)
                continue
            live += 1
            state = each["state"]
            if state == "open":
                opened.append(since)
                ids.append(each["id"])
            elif state == "closed":
                self.closed = since if self.closed is None else min(since, self.closed)
            elif state == "half_open":
                self.half_open = since if self.half_open is None else min(since, self.half_open)
            elif state in FORCED:
                self.forced = since if self.forced is None else min(since, self.forced)
        self.live, self.open_ids = live, ids
        self.opened, self.silent = opened, sorted(silent)

    def same_as(self, other: BreakerFacts) -> bool:
        """Whether no rule could tell the two apart, but for versions and zones."""
        return self._all() == other._all()

    def _all(self) -> tuple[object, ...]:
        return (
            self.opened, self.open_ids, self.live, self.silent, self.half_open, self.forced,
            self.closed, self.override_ends, self.unapplied_since, self.policy_unapplied_since,
            self.would_be_open,
        )  # fmt: skip

    def open_since(self, share: float, at_least: int) -> float | None:
        """Since when so many live instances are open."""
        needed = max(at_least, 1, -int(-share * self.live // 1))
        return sorted(self.opened)[needed - 1] if len(self.opened) >= needed else None

    def silent_since(self, at_least: int) -> float | None:
        """Since when so many instances are silent."""
        return self.silent[at_least - 1] if len(self.silent) >= at_least else None

    def disagreement_since(self, share: float) -> float | None:
        """Since when the smaller of the open and the closed side has a share of the instances."""
        if not self.opened or self.closed is None:
            return None
        closed = sum(each.state == "closed" and not each.stale for each in self.instances.values())
        if min(len(self.opened), closed) < share * self.live:
            return None
        return max(min(self.opened), self.closed)

    def flapping_since(self, trips: int, within_s: float, now: float) -> float | None:
        """When an instance completed so many trips within a time that ends now."""
        found = [
            times[-1]
            for times in self.trips.values()
            if len(times) >= trips and times[-trips] > now - within_s
        ]
        return min(found, default=None)


# A breaker that is closed on all its instances, without an override: no rule on states holds.
CALM: Final = BreakerFacts({})


class MinuteWindow:
    """The counts of a breaker's last six hours, as running totals: a sum is a difference."""

    __slots__ = ("_at", "_bad", "_calls", "_few", "_ran", "_totals")

    # Rules look back at most this many minutes; at calls that ran, an hour.
    _KEPT: Final = 361
    _RAN_KEPT: Final = 61
    _FEW: Final = 5
    _ZEROS: Final = array("Q", bytes(8 * _KEPT))

    def __init__(self) -> None:
        # A copy of zeros is made faster than zeros: thousands of windows may begin in one tick.
        self._calls = self._ZEROS[:]
        self._bad = self._ZEROS[:]
        self._ran = self._ZEROS[: self._RAN_KEPT]
        self._few: deque[tuple[int, int, int]] = deque(maxlen=self._FEW)
        self._totals = (0, 0, 0)
        self._at = 0

    def append(self, counts: Mapping[str, int] | None) -> None:
        """Add the next minute; None if the breaker had no calls."""
        at = self._at = self._at + 1
        calls, bad, ran = self._totals
        if counts:
            get = counts.get
            failed = get("failure", 0) + get("timeout", 0)
            rejected, full = get("rejected", 0), get("bulkhead_full", 0)
            here = get("success", 0) + failed
            ran += here
            bad += failed + rejected + full
            calls += here + rejected + full
            self._totals = (calls, bad, ran)
            self._few.append((failed + rejected, get("fallback", 0), get("retry", 0)))
        else:
            self._few.append(_NOTHING)
        self._calls[at % self._KEPT] = calls
        self._bad[at % self._KEPT] = bad
        self._ran[at % self._RAN_KEPT] = ran

    def calls(self, minutes: int) -> int:
        """All calls, the refused ones included."""
        return self._totals[0] - self._calls[(self._at - minutes) % self._KEPT]

    def bad(self, minutes: int) -> int:
        """Calls that failed, timed out or were refused."""
        return self._totals[1] - self._bad[(self._at - minutes) % self._KEPT]

    def ran(self, minutes: int) -> int:
        """Calls that reached the dependency."""
        return self._totals[2] - self._ran[(self._at - minutes) % self._RAN_KEPT]

    def failed_share(self, minutes: int) -> float:
        """The share of calls that failed, timed out or were refused."""
        bad = self.bad(minutes)
        return bad / self.calls(minutes) if bad else 0.0

    def failed(self) -> int:
        """Calls of the last five minutes that failed or that the breaker refused."""
        return sum(each[0] for each in self._few)

    def fallbacks(self) -> int:
        """Fallbacks that answered in the last five minutes."""
        return sum(each[1] for each in self._few)

    def retries(self) -> int:
        """Retries of the last five minutes."""
        return sum(each[2] for each in self._few)

    @property
    def is_idle(self) -> bool:
        """Whether no minute has any call."""
        return self.calls(self._KEPT - 1) == 0


_NOTHING: Final = (0, 0, 0)
