"""What the fleet is doing now: reports folded into instances and breakers, frames of what changed.

Pure: no database, no bus, and time only as it is handed in (Unix seconds of the server's clock,
because views are for people; nothing here decides for a service).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from breakers import wire
from dashboard.bus.protocol import ALL, partition_of
from dashboard.fleet.batch import Batch, CursorKey
from dashboard.fleet.present import breaker_view, instance_view
from dashboard.fleet.rings import Ring
from dashboard.fleet.seen import SeenBreaker, SeenInstance, SeenService
from dashboard.fleet.views import Frame, LastTransition, OverrideInfo

FORGET_AFTER_S = 600.0
MAX_BREAKERS = 1000
MAX_INSTANCES = 5000
_LIVE_AGE_S = 10.0
_FRAMES_A_SECOND = 50


class FleetState:
    """Folds agents' messages in, and tells what changed. One thread at a time."""

    def __init__(self, interval_s: float = 1.0, stale_after: int = 3) -> None:
        self.services: dict[str, SeenService] = {}
        self._interval_s = interval_s
        self._stale_after = stale_after
        self.silent_after_s = stale_after * interval_s
        self._overrides: dict[tuple[str, str], OverrideInfo] = {}
        self._second = 0
        self.duplicates = 0

    # -- Before the first report -----------------------------------------------------------------

    def restore(
        self,
        services: Iterable[str],
        cursors: Mapping[CursorKey, int],
        last: Mapping[tuple[str, str], LastTransition],
        at: float = 0.0,
    ) -> None:
        """Take over, at Unix time `at`, what outlived whoever watched these services before."""
        for name in services:
            # Frames are numbered on from beyond what the worker before can have reached.
            self._service(name).seq = int(at * _FRAMES_A_SECOND)
        for (name, instance, boot), seq in cursors.items():
            self._service(name).cursors[instance, boot] = seq
        for (name, breaker), transition in last.items():
            self._service(name).last[breaker] = transition

    def release(self, partitions: frozenset[int]) -> None:
        """Forget all services of these partitions: another worker watches them."""
        self.services = {
            name: each for name, each in self.services.items() if each.partition not in partitions
        }

    def set_overrides(self, overrides: Iterable[OverrideInfo]) -> None:
        """The operators' overrides in force, all of them."""
        fresh = {(each.service, each.breaker): each for each in overrides}
        for key in {*self._overrides, *fresh}:
            changed = self._overrides.get(key) != fresh.get(key)
            if changed and (service := self.services.get(key[0])) is not None:
                service.dirty_breakers.add(key[1])
        self._overrides = fresh
        standing = {each.id for each in fresh.values()}
        for seen in self.services.values():
            seen.refused = {key: why for key, why in seen.refused.items() if key[0] in standing}

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
            service = self.services[name] = SeenService(name, partition=partition_of(name))
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
        service.dirty_breakers &= service.known_breakers()

    def _fold_report(self, report: wire.Report, at: float, batch: Batch) -> None:
        service = self._service(report.service)
        life = (report.instance.id, report.boot)
        is_new = report.seq > service.cursors.get(life, 0)
        if is_new:
            service.cursors[life] = batch.cursors[report.service, *life] = report.seq
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
        left = service.known_breakers()
        for name in gone.breakers:
            if name in left:
                service.dirty_breakers.add(name)
            else:
                service.removed_breakers.add(name)
                service.dirty_breakers.discard(name)
                service.rings.pop(name, None)

    # -- Views -----------------------------------------------------------------------------------

    def frames(self, at: float, partitions: frozenset[int] = ALL) -> list[Frame]:
        """One frame for each service of these partitions where something changed since the last."""
        return [
            self._frame(service, at, service.dirty_breakers, service.dirty_instances, full=False)
            for service in self.services.values()
            if service.partition in partitions
            and (
                service.dirty_breakers
                or service.dirty_instances
                or service.removed_breakers
                or service.removed_instances
            )
        ]

    def full_frames(self, at: float, partitions: frozenset[int] = ALL) -> list[Frame]:
        """One frame for each service of these partitions with everything known of it."""
        return [
            self._frame(service, at, service.known_breakers(), set(service.instances), full=True)
            for service in self.services.values()
            if service.partition in partitions
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
        known = service.known_breakers()
        frame: Frame = {
            "type": "frame",
            "service": service.name,
            "seq": service.seq,
            "at": at,
            "full": full,
            "interval_s": self._interval_s,
            "breakers": [
                breaker_view(service, name, at, self._overrides.get((service.name, name)))
                for name in sorted(breakers & known)
            ],
            "instances": [
                instance_view(service.instances[id])
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
