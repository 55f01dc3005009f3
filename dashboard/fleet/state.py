"""What the fleet is doing now: reports folded into instances and breakers, frames of what changed.

Pure: no database, no bus, and time only as it is handed in (Unix seconds of the server's clock,
because views are for people; nothing here decides for a service).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from breakers.protocol import messages as wire
from dashboard.bus.interface import ALL, partition_of
from dashboard.fleet.aggregation_queue import AggregationQueue
from dashboard.fleet.applying_reports import ReportApplier, apply_ack
from dashboard.fleet.checkpoint_batch import Batch, CursorKey
from dashboard.fleet.frame_types import Frame, LastTransition, OverrideInfo
from dashboard.fleet.frames import Pack, framed, unpacked
from dashboard.fleet.membership import fall_silent, forget, forget_asked
from dashboard.fleet.model import ServiceModel
from dashboard.fleet.outages import OutageRow
from dashboard.fleet.quorum import QuorumEnd, QuorumTrip, RuleOf, dues
from dashboard.fleet.sequence_gaps import Gaps

FORGET_AFTER_S: Final = 600.0
# A service of which so many breakers change at once has a frame each second, not each tick:
# building and reading it would delay the frames of the others.
_MANY_CHANGES: Final = 300
_MANY_EACH_S: Final = 1.0
_FRAMES_A_SECOND: Final = 50


class FleetState:
    """Folds agents' messages in, and tells what changed. One thread at a time."""

    def __init__(self, interval_s: float = 1.0, stale_after: int = 3) -> None:
        self.services: dict[str, ServiceModel] = {}
        self._interval_s = interval_s
        self._stale_after = stale_after
        self.silent_after_s = stale_after * interval_s
        self._overrides: dict[tuple[str, str], OverrideInfo] = {}
        self._waiting = AggregationQueue()
        self._applier = ReportApplier(self._waiting, interval_s)
        self._second = 0

    def watch(self, breakers: frozenset[tuple[str, str]]) -> None:
        """Count the calls of these breakers, pairs of service and name, by instance too."""
        self._applier.watched = breakers

    @property
    def duplicates(self) -> int:
        """How many reports came again that had been counted."""
        return self._applier.duplicates

    # -- Before the first report -----------------------------------------------------------------

    def restore(
        self,
        services: Iterable[str],
        cursors: Mapping[CursorKey, int],
        last: Mapping[tuple[str, str], LastTransition],
        at: float = 0.0,
        gaps: Mapping[CursorKey, Gaps] = MappingProxyType({}),
        outages: Iterable[OutageRow] = (),
    ) -> None:
        """Take over, at Unix time `at`, what the worker before has stored of these services."""
        for name in services:
            # Frames are numbered on from beyond what the worker before can have reached.
            self._service(name).seq = int(at * _FRAMES_A_SECOND)
        for (name, instance, boot), seq in cursors.items():
            self._service(name).cursors[instance, boot] = seq
        for (name, instance, boot), passed_over in gaps.items():
            self._service(name).gaps[instance, boot] = passed_over
        for (name, breaker), transition in last.items():
            self._service(name).last[breaker] = transition
        for row in outages:
            self._service(row.service).outages.restore(row, at)

    def release(self, partitions: frozenset[int]) -> None:
        """Forget all services of these partitions: another worker watches them."""
        self.services = {
            name: each for name, each in self.services.items() if each.partition not in partitions
        }
        self._waiting.forget(partitions)

    def watched(self, partitions: frozenset[int]) -> list[ServiceModel]:
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

    def forget_instances(self, asked: Mapping[tuple[str, str], float]) -> None:
        """Forget instances, by service and id, that have not reported since an operator asked for
        it, at Unix time."""
        for (name, id), at in asked.items():
            if (service := self.services.get(name)) is not None:
                forget_asked(service, id, at)

    def quorums_due(
        self, rule_of: RuleOf, at: float, partitions: frozenset[int]
    ) -> list[QuorumTrip | QuorumEnd]:
        """What the quorum rules of these partitions' services ask for now."""
        return dues(self.watched(partitions), self._overrides, rule_of, at)

    # -- Folding ---------------------------------------------------------------------------------

    def fold(self, message: wire.FromAgent, at: float, batch: Batch) -> None:
        """Take one message in that came at Unix time `at`; what must be stored goes to `batch`,
        at the latest when that is flushed."""
        if isinstance(message, wire.Recording):
            return  # stored by the API
        if isinstance(message, wire.Ack):
            apply_ack(self._service(message.service), message)
        else:
            self._applier.fold(self._service(message.service), message, at, batch)

    def _service(self, name: str) -> ServiceModel:
        service = self.services.get(name)
        if service is None:
            service = self.services[name] = ServiceModel(name, partition_of(name))
            # It may have been watched before, and forgotten.
            service.seq = self._second * _FRAMES_A_SECOND
        return service

    # -- Time ------------------------------------------------------------------------------------

    def advance(self, at: float, heard_until: float | None = None) -> None:
        """Notice who has fallen silent, and let figures slide on with the seconds.

        A worker that is behind has read only what came until `heard_until`. No instance is
        silent because we have not listened.
        """
        heard_until = at if heard_until is None else heard_until
        for service in self.services.values():
            fallen = []
            for id, instance in list(service.instances.items()):
                silent = heard_until - instance.seen_at
                if silent > FORGET_AFTER_S:
                    forget(service, id)
                elif silent > self._stale_after * instance.interval_s and not instance.stale:
                    fallen.append(id)
            if fallen:
                fall_silent(service, fallen)
        if (second := int(at)) != self._second:
            self._second = second
            for service in self.services.values():
                if service.outages.by_breaker:
                    service.dirty_breakers |= service.breakers.keys() & set(
                        service.outages.advance(at, service.state_at)
                    )
            self._slide(second)

    def _slide(self, second: int) -> None:
        self._waiting.add_up()
        for service in self.services.values():
            service.dirty_instances |= service.heard_of & service.instances.keys()
            service.heard_of = set()
            for name, breaker in list(service.breakers.items()):
                if not breaker.instances and breaker.recent.is_idle(second):
                    # Only instances that are not shown have reported it, a while ago.
                    del service.breakers[name]
                elif breaker.moved:
                    breaker.changed |= breaker.moved
                    breaker.moved = set()
                    service.dirty_breakers.add(name)
                elif not breaker.recent.is_idle(second) or "half_open" in breaker.states:
                    # A half-open one without calls is sent each second, to be shown as idle.
                    service.dirty_breakers.add(name)

    def flush(self, batch: Batch) -> None:
        """Bring into a batch everything that was counted for it."""
        self._waiting.flush(batch)
        for service in self.services.values():
            if service.partition == batch.partition:
                for row in service.outages.take_changed():
                    batch.outages[row.service, row.id] = row

    # -- Views -----------------------------------------------------------------------------------

    def frames(self, at: float, partitions: frozenset[int] = ALL) -> list[Frame]:
        """One frame for each service of these partitions where something changed since the last."""
        return [
            framed(service, at, self._interval_s, self._overrides, full=False)
            for service in self.services.values()
            if service.partition in partitions and _is_due(service, at)
        ]

    def full_frames(
        self, at: float, partitions: frozenset[int] = ALL, pack: Pack = unpacked
    ) -> Iterator[Frame]:
        """One frame for each service of these partitions with everything known of it, one at a
        time: the views of a large service take ten times as much memory as the model of it. `pack`
        makes of each view what the frame holds."""
        self._waiting.add_up()
        for service in self.services.values():
            if service.partition in partitions:
                yield framed(service, at, self._interval_s, self._overrides, full=True, pack=pack)


def _is_due(service: ServiceModel, at: float) -> bool:
    """Whether a service has a frame now."""
    if len(service.dirty_breakers) > _MANY_CHANGES and at - service.framed_at < _MANY_EACH_S:
        return False
    return bool(
        service.dirty_breakers
        or service.dirty_instances
        or service.removed_breakers
        or service.removed_instances
    )
