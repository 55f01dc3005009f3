"""What the fleet is doing now: reports folded into instances and breakers, and views of them.

Pure: no database, no bus, and time only as it is handed in (Unix seconds of the server's clock,
because views are for people; nothing here decides for a service).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from breakers import wire
from dashboard.fleet.batch import Batch, CursorKey
from dashboard.fleet.rings import Ring, error_pct
from dashboard.fleet.views import (
    BreakerAtInstance,
    BreakerView,
    Frame,
    InstanceView,
    LastTransition,
    OverrideInfo,
    OverrideView,
)

STALE = "stale"
FORGET_AFTER_S = 600.0
MAX_BREAKERS = 1000
MAX_INSTANCES = 5000

# Worst first: what an on-call engineer must see of a breaker whose instances disagree.
SEVERITY = ("open", "forced_open", "half_open", "metrics_only", "forced_closed", "closed")
_LIVE_AGE_S = 10.0


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
    instances: dict[str, SeenInstance] = field(default_factory=dict)
    rings: dict[str, Ring] = field(default_factory=dict)
    last: dict[str, LastTransition] = field(default_factory=dict)
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
    dirty_breakers: set[str] = field(default_factory=set)
    dirty_instances: set[str] = field(default_factory=set)
    removed_breakers: set[str] = field(default_factory=set)
    removed_instances: set[str] = field(default_factory=set)
    turned_away: int = 0


class FleetState:
    """Folds agents' messages in, and tells what changed. One thread at a time."""

    def __init__(self, interval_s: float = 1.0, stale_after: int = 3) -> None:
        self.services: dict[str, SeenService] = {}
        self._interval_s = interval_s
        self._stale_after = stale_after
        self._cursors: dict[CursorKey, int] = {}
        self._overrides: dict[tuple[str, str], OverrideInfo] = {}
        self._second = 0
        self.duplicates = 0

    # -- Before the first report -----------------------------------------------------------------

    def restore(
        self,
        services: Iterable[str],
        cursors: Mapping[CursorKey, int],
        last: Mapping[tuple[str, str], LastTransition],
    ) -> None:
        """Take over what outlived the process before."""
        for name in services:
            self.services.setdefault(name, SeenService(name))
        self._cursors.update(cursors)
        for (service, breaker), transition in last.items():
            self._service(service).last[breaker] = transition

    def set_overrides(self, overrides: Iterable[OverrideInfo]) -> None:
        """The operators' overrides in force, all of them."""
        fresh = {(each.service, each.breaker): each for each in overrides}
        for key in {*self._overrides, *fresh}:
            if self._overrides.get(key) != fresh.get(key):
                self._service(key[0]).dirty_breakers.add(key[1])
        self._overrides = fresh

    # -- Folding ---------------------------------------------------------------------------------

    def fold(self, message: wire.FromAgent, at: float, batch: Batch) -> None:
        """Take one message in that came at Unix time `at`; what must be stored goes to `batch`."""
        if isinstance(message, wire.Ack):
            self._fold_ack(message)
        else:
            self._fold_report(message, at, batch)

    def _service(self, name: str) -> SeenService:
        service = self.services.get(name)
        if service is None:
            service = self.services[name] = SeenService(name)
        return service

    def _fold_ack(self, ack: wire.Ack) -> None:
        service = self._service(ack.service)
        instance = service.instances.get(ack.instance)
        for item in ack.items:
            if item.kind == "override" and item.status == "refused":
                service.refused[item.id, ack.instance] = item.reason
            service.dirty_breakers.add(item.breaker)
        if instance is not None and instance.revision != ack.revision:
            instance.revision = ack.revision
            service.dirty_instances.add(ack.instance)
            service.dirty_breakers |= instance.breakers.keys()
        service.dirty_breakers &= self._known_breakers(service)

    def _fold_report(self, report: wire.Report, at: float, batch: Batch) -> None:
        service = self._service(report.service)
        key = (report.service, report.instance.id, report.boot)
        is_new = report.seq > self._cursors.get(key, 0)
        if is_new:
            self._cursors[key] = batch.cursors[key] = report.seq
        else:
            self.duplicates += 1
        instance = self._instance(service, report, at)
        if instance is None:
            service.turned_away += 1
            return
        for breaker in report.breakers:
            if not self._has_room(service, breaker.name):
                service.turned_away += 1
                continue
            if is_new:
                self._count(service, report, breaker, at, batch)
            if report.age_s <= _LIVE_AGE_S:
                self._observe(service, instance, breaker, at - report.age_s)

    def _instance(
        self, service: SeenService, report: wire.Report, at: float
    ) -> SeenInstance | None:
        id = report.instance.id
        instance = service.instances.get(id)
        if instance is None:
            if len(service.instances) >= MAX_INSTANCES:
                return None
            instance = SeenInstance(report.instance, at, report.interval_s, report.revision)
            service.instances[id] = instance
            service.removed_instances.discard(id)
        if instance.stale or instance.revision != report.revision:
            service.dirty_breakers |= instance.breakers.keys()
        instance.info = report.instance
        instance.seen_at = at
        instance.interval_s = max(self._interval_s, min(report.interval_s, 300.0))
        instance.revision = report.revision
        instance.stale = False
        service.dirty_instances.add(id)
        return instance

    def _known_breakers(self, service: SeenService) -> set[str]:
        return {name for each in service.instances.values() for name in each.breakers}

    def _has_room(self, service: SeenService, breaker: str) -> bool:
        return breaker in service.rings or len(service.rings) < MAX_BREAKERS

    def _count(
        self,
        service: SeenService,
        report: wire.Report,
        breaker: wire.BreakerReport,
        at: float,
        batch: Batch,
    ) -> None:
        counts = {
            name: n
            for name in breaker.counts.__struct_fields__
            if (n := getattr(breaker.counts, name))
        }
        batch.add(report, breaker, counts, at)
        ring = service.rings.setdefault(breaker.name, Ring())
        if report.age_s <= _LIVE_AGE_S:
            second = int(at - report.age_s)
            ring.add(second, counts, breaker.histogram.buckets, breaker.histogram.sum_s)
        for each in breaker.transitions:
            when = at - report.age_s - each.ago_s
            known = service.last.get(breaker.name)
            if known is None or known["at"] <= when:
                service.last[breaker.name] = {
                    "at": when,
                    "before": each.from_,
                    "after": each.to,
                    "cause": each.cause,
                    "instance": report.instance.id,
                }

    def _observe(
        self,
        service: SeenService,
        instance: SeenInstance,
        breaker: wire.BreakerReport,
        at: float,
    ) -> None:
        service.rings.setdefault(breaker.name, Ring())
        instance.breakers[breaker.name] = SeenBreaker(
            breaker.state,
            at - breaker.since_s,
            breaker.cause,
            breaker.in_flight,
            breaker.would_be_open,
        )
        service.dirty_breakers.add(breaker.name)
        service.removed_breakers.discard(breaker.name)

    # -- Time ------------------------------------------------------------------------------------

    def advance(self, at: float) -> None:
        """Notice who has fallen silent, and let figures slide on with the seconds."""
        second = int(at)
        slides = second != self._second
        self._second = second
        for service in self.services.values():
            for id, instance in list(service.instances.items()):
                silent = at - instance.seen_at
                if silent > FORGET_AFTER_S:
                    self._forget(service, id)
                elif silent > self._stale_after * instance.interval_s and not instance.stale:
                    instance.stale = True
                    service.dirty_instances.add(id)
                    service.dirty_breakers |= instance.breakers.keys()
            if slides:
                service.dirty_breakers |= {
                    name for name, ring in service.rings.items() if not ring.is_idle(second)
                }

    def _forget(self, service: SeenService, id: str) -> None:
        gone = service.instances.pop(id)
        service.removed_instances.add(id)
        service.dirty_instances.discard(id)
        left = self._known_breakers(service)
        for name in gone.breakers:
            if name in left:
                service.dirty_breakers.add(name)
            else:
                service.removed_breakers.add(name)
                service.dirty_breakers.discard(name)
                service.rings.pop(name, None)

    # -- Views -----------------------------------------------------------------------------------

    def frames(self, at: float) -> list[Frame]:
        """One frame for each service where something changed since the last time."""
        return [
            self._frame(service, at, service.dirty_breakers, service.dirty_instances, full=False)
            for service in self.services.values()
            if service.dirty_breakers
            or service.dirty_instances
            or service.removed_breakers
            or service.removed_instances
        ]

    def full_frames(self, at: float) -> list[Frame]:
        """One frame for each service with everything known of it."""
        return [
            self._frame(
                service, at, self._known_breakers(service), set(service.instances), full=True
            )
            for service in self.services.values()
        ]

    def _frame(
        self,
        service: SeenService,
        at: float,
        breakers: set[str],
        instances: set[str],
        full: bool,
    ) -> Frame:
        service.seq += 1
        known = self._known_breakers(service)
        frame: Frame = {
            "type": "frame",
            "service": service.name,
            "seq": service.seq,
            "at": at,
            "full": full,
            "interval_s": self._interval_s,
            "breakers": [self._breaker(service, name, at) for name in sorted(breakers & known)],
            "instances": [
                _instance_view(service.instances[id])
                for id in sorted(instances)
                if id in service.instances
            ],
            "removed": {
                "breakers": sorted(service.removed_breakers),
                "instances": sorted(service.removed_instances),
            },
        }
        service.dirty_breakers = set()
        service.dirty_instances = set()
        service.removed_breakers = set()
        service.removed_instances = set()
        return frame

    def _breaker(self, service: SeenService, name: str, at: float) -> BreakerView:
        seen = [
            _at_instance(id, instance.breakers[name], instance.stale)
            for id, instance in sorted(service.instances.items())
            if name in instance.breakers
        ]
        states: dict[str, int] = {}
        for each in seen:
            shown = STALE if each["stale"] else each["state"]
            states[shown] = states.get(shown, 0) + 1
        ring = service.rings.setdefault(name, Ring())
        second = int(at)
        counts, latencies = ring.recent(second)
        spark, spark_err = ring.spark(second)
        override = self._overrides.get((service.name, name))
        return {
            "service": service.name,
            "name": name,
            "state": next((state for state in SEVERITY if state in states), STALE),
            "states": states,
            "instances": seen,
            "rate": round(ring.rate(second), 1),
            "error_pct": error_pct(counts),
            "p50_ms": _ms(latencies.quantile(0.5)),
            "p95_ms": _ms(latencies.quantile(0.95)),
            "p99_ms": _ms(latencies.quantile(0.99)),
            "counts": counts,
            "spark": spark,
            "spark_err": spark_err,
            "last": service.last.get(name),
            "override": self._override(service, name, override) if override else None,
        }

    def _override(self, service: SeenService, name: str, info: OverrideInfo) -> OverrideView:
        """How far an override has got. An instance has applied it when it has taken over that
        revision or a later one and reports the very state: what it does, not only what it says."""
        meant = {
            id: instance
            for id, instance in service.instances.items()
            if not instance.stale
            and name in instance.breakers
            and (info.instances is None or id in info.instances)
        }
        applied = {
            id
            for id, instance in meant.items()
            if instance.revision >= info.revision and instance.breakers[name].state == info.state
        }
        refused = {
            id: reason
            for (override, id), reason in service.refused.items()
            if override == info.id and id in meant
        }
        return {
            "id": info.id,
            "state": info.state,
            "reason": info.reason,
            "by": info.by,
            "expires_at": info.expires_at,
            "applied": len(applied),
            "total": len(meant),
            "pending": sorted(meant.keys() - applied - refused.keys()),
            "refused": [{"instance": id, "reason": why} for id, why in sorted(refused.items())],
        }


def _at_instance(id: str, seen: SeenBreaker, stale: bool) -> BreakerAtInstance:
    return {
        "id": id,
        "state": seen.state,
        "since_at": round(seen.since_at, 1),
        "cause": seen.cause,
        "in_flight": seen.in_flight,
        "would_be_open": seen.would_be_open,
        "stale": stale,
    }


def _instance_view(instance: SeenInstance) -> InstanceView:
    info = instance.info
    return {
        "id": info.id,
        "host": info.host,
        "pid": info.pid,
        "version": info.version,
        "zone": info.zone,
        "seen_at": round(instance.seen_at, 2),
        "stale": instance.stale,
        "revision": instance.revision,
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
