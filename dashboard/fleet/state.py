"""What the fleet is doing now: reports folded into instances and breakers, frames of what changed.

Pure: no database, no bus, and time only as it is handed in (Unix seconds of the server's clock,
because views are for people; nothing here decides for a service).

Counts of live reports wait with their breaker (`pending`) until the second is over, the checkpoint
wants them, or there are many: `flush` adds them up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from breakers import wire
from dashboard.bus.protocol import ALL, partition_of
from dashboard.fleet.batch import BUCKET_S, Batch, CursorKey
from dashboard.fleet.framing import framed
from dashboard.fleet.gaps import Gaps, take
from dashboard.fleet.pending import LIMIT
from dashboard.fleet.seen import Life, SeenAt, SeenBreaker, SeenInstance, SeenService
from dashboard.fleet.views import Frame, LastTransition, OverrideInfo
from dashboard.fleet.waiting import Waiting

FORGET_AFTER_S: Final = 600.0
MAX_BREAKERS: Final = 1000
MAX_INSTANCES: Final = 5000
_LIVE_AGE_S: Final = 10.0
_FRAMES_A_SECOND: Final = 50


class FleetState:
    """Folds agents' messages in, and tells what changed. One thread at a time."""

    def __init__(self, interval_s: float = 1.0, stale_after: int = 3) -> None:
        self.services: dict[str, SeenService] = {}
        self._interval_s = interval_s
        self._stale_after = stale_after
        self.silent_after_s = stale_after * interval_s
        self._overrides: dict[tuple[str, str], OverrideInfo] = {}
        self._waiting = Waiting()
        self._second = 0
        self.duplicates = 0

    # -- Before the first report -----------------------------------------------------------------

    def restore(
        self,
        services: Iterable[str],
        cursors: Mapping[CursorKey, int],
        last: Mapping[tuple[str, str], LastTransition],
        at: float = 0.0,
        gaps: Mapping[CursorKey, Gaps] = MappingProxyType({}),
    ) -> None:
        """Take over, at Unix time `at`, what outlived whoever watched these services before."""
        for name in services:
            # Frames are numbered on from beyond what the worker before can have reached.
            self._service(name).seq = int(at * _FRAMES_A_SECOND)
        for (name, instance, boot), seq in cursors.items():
            self._service(name).cursors[instance, boot] = seq
        for (name, instance, boot), passed_over in gaps.items():
            self._service(name).gaps[instance, boot] = passed_over
        for (name, breaker), transition in last.items():
            self._service(name).last[breaker] = transition

    def release(self, partitions: frozenset[int]) -> None:
        """Forget all services of these partitions: another worker watches them."""
        self.services = {
            name: each for name, each in self.services.items() if each.partition not in partitions
        }
        self._waiting.forget(partitions)

    def watched(self, partitions: frozenset[int]) -> list[SeenService]:
        """The services of these partitions."""
        return [each for each in self.services.values() if each.partition in partitions]

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
            if seen.refused:
                seen.refused = {key: why for key, why in seen.refused.items() if key[0] in standing}

    # -- Folding ---------------------------------------------------------------------------------

    def fold(self, message: wire.FromAgent, at: float, batch: Batch) -> None:
        """Take one message in that came at Unix time `at`; what must be stored goes to `batch`,
        at the latest when that is flushed."""
        if isinstance(message, wire.Ack):
            self._fold_ack(message)
        else:
            self._fold_report(message, at, batch)

    def _service(self, name: str) -> SeenService:
        service = self.services.get(name)
        if service is None:
            service = self.services[name] = SeenService(name, partition_of(name))
            # It may have been watched before, and forgotten.
            service.seq = self._second * _FRAMES_A_SECOND
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

    def _fold_report(self, report: wire.Report, at: float, batch: Batch) -> None:
        service = self._service(report.service)
        life = (report.instance.id, report.boot)
        highest = service.cursors.get(life, 0)
        is_new = self._is_new(service, life, report.seq, batch)
        if report.seq < highest:
            # It was overtaken: a later report has told how things are.
            if is_new:
                self._fold_overtaken(service, report, at, batch)
            return
        instance = self._instance(service, report, at)
        if instance is None:
            # The gate let it through and it will be called safe: it counts, but is not shown.
            service.turned_away.instance(report.instance.id, at)
            if is_new:
                self._fold_overtaken(service, report, at, batch)
            return
        if not highest:
            instance.unwatched.clear()  # another life may have other breakers
        if report.age_s > _LIVE_AGE_S or report.interval_s > BUCKET_S:
            self._fold_late(service, instance, report, at, batch, is_new)
        else:
            self._fold_live(service, instance, report, at, batch, is_new)

    def _is_new(self, service: SeenService, life: Life, seq: int, batch: Batch) -> bool:
        """Whether a report has not been counted yet; from now on it has."""
        highest, before = service.cursors.get(life, 0), service.gaps.get(life, ())
        gaps = take(highest, before, seq)
        if gaps is None:
            self.duplicates += 1
            return False
        key = (service.name, *life)
        service.cursors[life] = batch.cursors[key] = max(seq, highest)
        if gaps or before:
            service.gaps[life] = batch.gaps[key] = gaps
        return True

    def _fold_live(
        self,
        service: SeenService,
        instance: SeenInstance,
        report: wire.Report,
        at: float,
        batch: Batch,
        is_new: bool,
    ) -> None:
        """The common case, in one loop without a call for each breaker: this is where the fleet's
        time goes."""
        ended = at - report.age_s
        second = int(ended)
        bucket = int((ended - report.interval_s / 2) // BUCKET_S) * BUCKET_S
        known = instance.breakers
        for breaker in report.breakers:
            seen = known.get(breaker.name) or self._enter(service, instance, breaker.name, at)
            if seen is None:
                continue
            over_all = seen.breaker
            if is_new:
                pending = over_all.pending
                if (
                    pending.batch is not batch
                    or pending.second != second
                    or pending.bucket != bucket
                    or len(pending.counts) >= LIMIT
                ):
                    self._waiting.begin(service, over_all, batch, second, bucket)
                pending.counts.append(breaker.counts)
                pending.sketches.append(breaker.histogram)
                if breaker.transitions or breaker.policy is not None:
                    self._note(service, report, breaker, at, batch)
            if (
                seen.state != breaker.state
                or seen.cause != breaker.cause
                or seen.would_be_open != breaker.would_be_open
            ):
                self._change(service, report.instance.id, seen, breaker, ended)
            elif seen.in_flight != breaker.in_flight:
                seen.in_flight = breaker.in_flight
                over_all.moved.add(report.instance.id)

    def _fold_overtaken(
        self, service: SeenService, report: wire.Report, at: float, batch: Batch
    ) -> None:
        """Of a report that comes after later ones, or of an instance that is not shown, only what
        happened counts."""
        for breaker in report.breakers:
            over_all = self._breaker(service, breaker.name, at)
            if over_all is not None:
                self._count(service, over_all, report, breaker, at, batch)

    def _count(
        self,
        service: SeenService,
        over_all: SeenBreaker,
        report: wire.Report,
        breaker: wire.BreakerReport,
        at: float,
        batch: Batch,
    ) -> None:
        """Add the counts of a report that is not of this second."""
        counts = _counts(breaker)
        figures = {
            name: n for name, n in zip(breaker.counts.__struct_fields__, counts, strict=True) if n
        }
        batch.add(report, breaker, figures, at)
        if report.age_s <= _LIVE_AGE_S:
            sketch = breaker.histogram
            over_all.ring.add(int(at - report.age_s), counts, sketch.buckets, sketch.sum_s)
            over_all.figures = None
        self._note_last(service, report, breaker, at)

    def _fold_late(
        self,
        service: SeenService,
        instance: SeenInstance,
        report: wire.Report,
        at: float,
        batch: Batch,
        is_new: bool,
    ) -> None:
        """A report of a while ago, or of a long time: its counts are not of this second."""
        ended = at - report.age_s
        for breaker in report.breakers:
            over_all = self._breaker(service, breaker.name, at)
            if over_all is None:
                continue
            if is_new:
                self._count(service, over_all, report, breaker, at, batch)
            if report.age_s <= _LIVE_AGE_S:
                seen = instance.breakers.get(breaker.name)
                seen = seen or self._enter(service, instance, breaker.name, at)
                if seen is not None:
                    self._change(service, report.instance.id, seen, breaker, ended)

    def _instance(
        self, service: SeenService, report: wire.Report, at: float
    ) -> SeenInstance | None:
        id = report.instance.id
        instance = service.instances.get(id)
        if instance is None:
            if len(service.instances) >= MAX_INSTANCES:
                return None
            instance = service.instances[id] = SeenInstance(report, at)
            service.removed_instances.discard(id)
            service.dirty_instances.add(id)
        if instance.stale:
            self._set_stale(service, id, instance, False)
        if instance.revision != report.revision:
            service.dirty_breakers |= instance.breakers.keys()
            service.dirty_instances.add(id)
            instance.revision = report.revision
        instance.info = report.instance
        instance.seen_at = at
        instance.interval_s = max(self._interval_s, min(report.interval_s, 300.0))
        service.heard_of.add(id)
        return instance

    def _breaker(self, service: SeenService, name: str, at: float) -> SeenBreaker | None:
        breaker = service.breakers.get(name)
        if breaker is None:
            if len(service.breakers) >= MAX_BREAKERS:
                service.turned_away.breaker(name, at)
                return None
            breaker = service.breakers[name] = SeenBreaker(name)
        return breaker

    def _enter(
        self, service: SeenService, instance: SeenInstance, name: str, at: float
    ) -> SeenAt | None:
        """A breaker that an instance reports for the first time."""
        breaker = self._breaker(service, name, at)
        if breaker is None:
            if name not in instance.unwatched and len(instance.unwatched) < wire.MAX_UNWATCHED:
                instance.unwatched.add(name)
                service.dirty_instances.add(instance.info.id)
            return None
        if name in instance.unwatched:
            instance.unwatched.remove(name)
            service.dirty_instances.add(instance.info.id)
        seen = instance.breakers[name] = breaker.instances[instance.info.id] = SeenAt(breaker)
        breaker.count(seen.shown, 1)
        service.removed_breakers.discard(name)
        return seen

    def _change(
        self,
        service: SeenService,
        id: str,
        seen: SeenAt,
        breaker: wire.BreakerReport,
        ended: float,
    ) -> None:
        over_all = seen.breaker
        over_all.count(seen.shown, -1)
        seen.state, seen.cause = breaker.state, breaker.cause
        seen.would_be_open, seen.in_flight = breaker.would_be_open, breaker.in_flight
        seen.since_at = ended - breaker.since_s
        over_all.count(seen.shown, 1)
        over_all.changed.add(id)
        service.dirty_breakers.add(over_all.name)

    def _note(
        self,
        service: SeenService,
        report: wire.Report,
        breaker: wire.BreakerReport,
        at: float,
        batch: Batch,
    ) -> None:
        batch.note(report, breaker, at)
        self._note_last(service, report, breaker, at)

    def _note_last(
        self, service: SeenService, report: wire.Report, breaker: wire.BreakerReport, at: float
    ) -> None:
        for each in breaker.transitions:
            when = at - report.age_s - each.ago_s
            known = service.last.get(breaker.name)
            if known is None or known["at"] <= when:
                service.dirty_breakers.add(breaker.name)
                service.last[breaker.name] = {
                    "at": when,
                    "before": each.from_,
                    "after": each.to,
                    "cause": each.cause,
                    "instance": report.instance.id,
                }

    # -- Time ------------------------------------------------------------------------------------

    def advance(self, at: float, heard_until: float | None = None) -> None:
        """Notice who has fallen silent, and let figures slide on with the seconds.

        Whoever is behind has heard only what came until a while ago: `heard_until`. Nobody is
        silent because we have not listened.
        """
        heard_until = at if heard_until is None else heard_until
        for service in self.services.values():
            for id, instance in list(service.instances.items()):
                silent = heard_until - instance.seen_at
                if silent > FORGET_AFTER_S:
                    self._forget(service, id)
                elif silent > self._stale_after * instance.interval_s and not instance.stale:
                    self._set_stale(service, id, instance, True)
        if (second := int(at)) != self._second:
            self._second = second
            self._slide(second)

    def _slide(self, second: int) -> None:
        self._waiting.add_up()
        for service in self.services.values():
            service.dirty_instances |= service.heard_of & service.instances.keys()
            service.heard_of = set()
            for name, breaker in list(service.breakers.items()):
                if not breaker.instances and breaker.ring.is_idle(second):
                    # Only who is not shown has told of it, a while ago.
                    del service.breakers[name]
                elif breaker.moved:
                    breaker.changed |= breaker.moved
                    breaker.moved = set()
                    service.dirty_breakers.add(name)
                elif not breaker.ring.is_idle(second):
                    service.dirty_breakers.add(name)

    def _set_stale(
        self, service: SeenService, id: str, instance: SeenInstance, is_stale: bool
    ) -> None:
        instance.stale = is_stale
        service.dirty_instances.add(id)
        service.dirty_breakers |= instance.breakers.keys()
        for seen in instance.breakers.values():
            seen.breaker.count(seen.shown, -1)
            seen.stale = is_stale
            seen.breaker.count(seen.shown, 1)
            seen.breaker.changed.add(id)

    def _forget(self, service: SeenService, id: str) -> None:
        gone = service.instances.pop(id)
        service.removed_instances.add(id)
        service.dirty_instances.discard(id)
        for name, seen in gone.breakers.items():
            breaker = seen.breaker
            breaker.count(seen.shown, -1)
            del breaker.instances[id]
            if breaker.instances:
                service.dirty_breakers.add(name)
            else:
                service.removed_breakers.add(name)
                service.dirty_breakers.discard(name)
                del service.breakers[name]

    def flush(self, batch: Batch) -> None:
        """Bring into a batch everything that was counted for it."""
        self._waiting.flush(batch)

    # -- Views -----------------------------------------------------------------------------------

    def frames(self, at: float, partitions: frozenset[int] = ALL) -> list[Frame]:
        """One frame for each service of these partitions where something changed since the last."""
        return [
            framed(service, at, self._interval_s, self._overrides, full=False)
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
        self._waiting.add_up()
        return [
            framed(service, at, self._interval_s, self._overrides, full=True)
            for service in self.services.values()
            if service.partition in partitions
        ]


def _counts(breaker: wire.BreakerReport) -> list[int]:
    return [getattr(breaker.counts, name) for name in breaker.counts.__struct_fields__]
