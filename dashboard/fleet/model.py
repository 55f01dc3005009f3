"""What has been seen of the fleet: plain records that the state folds reports into."""

from __future__ import annotations

from typing import Final

from breakers.protocol import messages as wire
from dashboard.fleet.aggregation import Pending
from dashboard.fleet.frame_types import Figures, LastTransition, Minute
from dashboard.fleet.outages import Outages
from dashboard.fleet.recent_window import RecentWindow
from dashboard.fleet.sequence_gaps import Gaps

STALE: Final = "stale"


class InstanceBreaker:
    """A breaker as one instance last reported it."""

    __slots__ = (
        "breaker", "cause", "idle", "in_flight", "since_at", "stale", "state", "would_be_open",
    )  # fmt: skip

    def __init__(self, breaker: BreakerModel, idle: bool = False) -> None:
        self.breaker = breaker
        self.idle = idle
        self.state = ""
        self.since_at = 0.0
        self.cause = ""
        self.in_flight = 0
        self.would_be_open = False
        self.stale = False

    def weigh(self, by: int) -> None:
        """Add this instance to the shares of the breaker, or take it out, unless it is idle."""
        if not self.idle:
            self.breaker.count(self.shown, by)

    @property
    def shown(self) -> str:
        """The state, or that nothing has been heard of it."""
        return STALE if self.stale else self.state


class BreakerModel:
    """A breaker over all its instances.

    `changed` and `moved` are the instances to tell of: those whose state changed, at once; those
    where only the calls in flight did, with the next second. `is_told` once a frame had it.
    """

    __slots__ = (
        "changed", "figures", "instances", "is_told", "moved", "name", "pending", "recent",
        "states",
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name = name
        self.recent = RecentWindow()
        self.pending = Pending()
        self.instances: dict[str, InstanceBreaker] = {}
        self.states: dict[str, int] = {}
        self.changed: set[str] = set()
        self.moved: set[str] = set()
        self.figures: tuple[int, Figures, Minute] | None = None
        self.is_told = False

    def count(self, shown: str, by: int) -> None:
        """So many more instances, or fewer, are shown in a state."""
        n = self.states.get(shown, 0) + by
        if n:
            self.states[shown] = n
        else:
            self.states.pop(shown, None)


class InstanceModel:
    """An instance as it last reported."""

    __slots__ = (
        "boot", "breakers", "first_at", "has_replaced", "info", "interval_s", "over_capacity",
        "revision", "seen_at", "stale", "unknown",
    )  # fmt: skip

    def __init__(self, report: wire.Report, at: float) -> None:
        self.info = report.instance
        self.boot = report.boot
        self.seen_at = self.first_at = at
        # Whether it is the successor of a process that ended without a goodbye.
        self.has_replaced = False
        self.interval_s = report.interval_s
        self.revision = report.revision
        self.stale = False
        self.breakers: dict[str, InstanceBreaker] = {}
        # Breakers of it that are over capacity, the first few.
        self.over_capacity: set[str] = set()
        # Fields of a policy that its library does not know.
        self.unknown: tuple[str, ...] = ()


# An instance, and the boot of it.
Incarnation = tuple[str, str]


class ServiceModel:
    """A service: its instances, its breakers, and what has changed since a frame.

    `heard_of` are instances that have reported and are otherwise the same: the time comes with the
    next second.
    """

    __slots__ = (
        "breakers",
        "cursors",
        "dirty_breakers",
        "dirty_instances",
        "framed_at",
        "gaps",
        "heard_of",
        "instances",
        "last",
        "name",
        "outages",
        "over_capacity",
        "pairs",
        "partition",
        "refused",
        "removed_breakers",
        "removed_instances",
        "seq",
    )  # fmt: skip

    def __init__(self, name: str, partition: int = 0) -> None:
        self.name = name
        self.partition = partition
        self.seq = 0
        self.framed_at = 0.0
        self.cursors: dict[Incarnation, int] = {}
        self.gaps: dict[Incarnation, Gaps] = {}
        self.instances: dict[str, InstanceModel] = {}
        self.breakers: dict[str, BreakerModel] = {}
        self.last: dict[str, LastTransition] = {}
        self.outages = Outages(name)
        self.pairs = 0
        self.refused: dict[tuple[str, str], str] = {}
        self.dirty_breakers: set[str] = set()
        self.dirty_instances: set[str] = set()
        self.heard_of: set[str] = set()
        self.removed_breakers: set[str] = set()
        self.removed_instances: set[str] = set()
        self.over_capacity = OverCapacity()

    def state_at(self, instance: str, breaker: str) -> str | None:
        """The state that an instance last reported of a breaker; None if it did not."""
        known = self.instances.get(instance)
        seen = known.breakers.get(breaker) if known is not None else None
        return seen.state if seen is not None else None

    def known_breakers(self) -> set[str]:
        """The breakers that some instance reports."""
        return {name for name, each in self.breakers.items() if each.instances}


class OverCapacity:
    """Instances and breakers that were over capacity lately."""

    _LIMIT: Final = 1000

    __slots__ = ("_breakers", "_instances")

    def __init__(self) -> None:
        self._instances: dict[str, float] = {}
        self._breakers: dict[str, float] = {}

    def instance(self, id: str, at: float) -> None:
        """This one found none."""
        if id in self._instances or len(self._instances) < self._LIMIT:
            self._instances[id] = at

    def breaker(self, name: str, at: float) -> None:
        """This one found none."""
        if name in self._breakers or len(self._breakers) < self._LIMIT:
            self._breakers[name] = at

    def since(self, at: float) -> tuple[int, int]:
        """How many instances and breakers, up to a thousand each, were turned away since then."""
        if self._instances or self._breakers:
            self._instances = {id: when for id, when in self._instances.items() if when >= at}
            self._breakers = {name: when for name, when in self._breakers.items() if when >= at}
        return len(self._instances), len(self._breakers)
