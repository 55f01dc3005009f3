"""What has been seen of the fleet: plain records that the state folds reports into."""

from __future__ import annotations

from dataclasses import dataclass, field

from breakers import wire
from dashboard.fleet.rings import Ring
from dashboard.fleet.views import LastTransition

STALE = "stale"


@dataclass(slots=True)
class SeenBreaker:
    """A breaker as one instance last reported it."""

    state: str
    since_at: float
    cause: str
    in_flight: int
    would_be_open: bool


@dataclass(slots=True)
class SeenInstance:
    """An instance as it last reported."""

    info: wire.Instance
    seen_at: float
    interval_s: float
    revision: int
    stale: bool = False
    breakers: dict[str, SeenBreaker] = field(default_factory=dict)


@dataclass(slots=True)
class SeenService:
    """A service: its instances, the rings of its breakers, and what has changed since a frame."""

    name: str
    seq: int = 0
    partition: int = 0
    cursors: dict[tuple[str, str], int] = field(default_factory=dict)
    instances: dict[str, SeenInstance] = field(default_factory=dict)
    rings: dict[str, Ring] = field(default_factory=dict)
    last: dict[str, LastTransition] = field(default_factory=dict)
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
    dirty_breakers: set[str] = field(default_factory=set)
    dirty_instances: set[str] = field(default_factory=set)
    removed_breakers: set[str] = field(default_factory=set)
    removed_instances: set[str] = field(default_factory=set)
    turned_away: int = 0

    def known_breakers(self) -> set[str]:
        """The breakers that some instance has reported."""
        return {name for each in self.instances.values() for name in each.breakers}
