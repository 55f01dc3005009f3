"""Membership: instances and breakers come, change, fall silent and go.

Plain functions over the model; each marks what the next frame must tell.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Final

from breakers.circuit.policy import FIELDS
from breakers.protocol import messages as wire
from dashboard.fleet.model import BreakerModel, InstanceBreaker, InstanceModel, ServiceModel

MAX_BREAKERS: Final = 1000
MAX_INSTANCES: Final = 5000
# Pairs of an instance and a breaker in one service, each about two kilobytes in memory.
MAX_PAIRS: Final = 50_000
# Bytes of causes that a frame carries for each pair once a service has many.
_MANY_PAIRS: Final = 5000
_SHORT_CAUSE: Final = 80


def instance_of(
    service: ServiceModel, report: wire.Report, at: float, interval_s: float
) -> InstanceModel | None:
    """The instance that reports; None where the service has no capacity for another. It reports
    each `interval_s` at most."""
    id = report.instance.id
    instance = service.instances.get(id)
    if instance is None:
        if len(service.instances) >= MAX_INSTANCES:
            return None
        instance = service.instances[id] = InstanceModel(report, at)
        service.removed_instances.discard(id)
        service.dirty_instances.add(id)
    if instance.stale:
        set_stale(service, id, instance, False)
    if instance.revision != report.revision:
        service.dirty_breakers |= instance.breakers.keys()
        service.dirty_instances.add(id)
        instance.revision = report.revision
    if instance.info.idle != report.instance.idle:
        _set_idle(service, instance, report.instance.idle)
    instance.info = report.instance
    instance.boot = report.boot
    instance.seen_at = at
    instance.interval_s = max(interval_s, min(report.interval_s, 300.0))
    service.heard_of.add(id)
    return instance


def breaker_of(service: ServiceModel, name: str, at: float) -> BreakerModel | None:
    """The breaker over all instances; None where the service has no capacity for another."""
    breaker = service.breakers.get(name)
    if breaker is None:
        if len(service.breakers) >= MAX_BREAKERS:
            service.over_capacity.breaker(name, at)
            return None
        breaker = service.breakers[name] = BreakerModel(name)
    return breaker


def enter(
    service: ServiceModel, instance: InstanceModel, name: str, at: float
) -> InstanceBreaker | None:
    """A breaker that an instance reports for the first time."""
    breaker = breaker_of(service, name, at)
    if breaker is not None and service.pairs >= MAX_PAIRS:
        service.over_capacity.breaker(name, at)
        breaker = None
    if breaker is None:
        if (
            name not in instance.over_capacity
            and len(instance.over_capacity) < wire.MAX_OVER_CAPACITY
        ):
            instance.over_capacity.add(name)
            service.dirty_instances.add(instance.info.id)
        return None
    if name in instance.over_capacity:
        instance.over_capacity.remove(name)
        service.dirty_instances.add(instance.info.id)
    seen = InstanceBreaker(breaker, instance.info.idle)
    instance.breakers[name] = breaker.instances[instance.info.id] = seen
    service.pairs += 1
    seen.weigh(1)
    service.removed_breakers.discard(name)
    return seen


def learn_fields(service: ServiceModel, id: str, declared: Mapping[str, object]) -> None:
    """An instance says what its code declares: every field that its library knows."""
    instance = service.instances.get(id)
    if instance is None:
        return
    unknown = unknown_fields(frozenset(FIELDS.keys() & declared.keys()))
    if unknown != instance.unknown:
        instance.unknown = unknown
        service.dirty_instances.add(id)


@lru_cache(maxsize=256)
def unknown_fields(declared: frozenset[str]) -> tuple[str, ...]:
    """The fields of our library that are not declared. Instances of one version share the tuple."""
    return tuple(name for name in FIELDS if name not in declared)


def change(
    service: ServiceModel,
    id: str,
    seen: InstanceBreaker,
    breaker: wire.BreakerReport,
    ended: float,
) -> None:
    """An instance's breaker as the report says; nobody looked whether it is otherwise now."""
    over_all = seen.breaker
    seen.weigh(-1)
    cause = breaker.cause
    if service.pairs > _MANY_PAIRS:
        cause = cause[:_SHORT_CAUSE]
    seen.state, seen.cause = breaker.state, cause
    seen.would_be_open, seen.in_flight = breaker.would_be_open, breaker.in_flight
    seen.since_at = ended - breaker.since_s
    seen.weigh(1)
    over_all.changed.add(id)
    service.dirty_breakers.add(over_all.name)


def set_stale(service: ServiceModel, id: str, instance: InstanceModel, is_stale: bool) -> None:
    """An instance has fallen silent, or is heard again."""
    instance.stale = is_stale
    service.dirty_instances.add(id)
    service.dirty_breakers |= instance.breakers.keys()
    for seen in instance.breakers.values():
        seen.weigh(-1)
        seen.stale = is_stale
        seen.weigh(1)
        seen.breaker.changed.add(id)


def fall_silent(service: ServiceModel, ids: Collection[str]) -> None:
    """These instances have fallen silent. One whose successor has come is forgotten: a supervisor
    has replaced a process that ended without a goodbye, and the service is not ill."""
    silent = set(ids)
    successors: dict[str, list[InstanceModel]] = {}
    for id, each in service.instances.items():
        if each.info.host and not (each.stale or each.has_replaced or id in silent):
            successors.setdefault(each.info.host, []).append(each)
    for found in successors.values():
        found.sort(key=lambda each: each.first_at)
    for id in ids:
        gone = service.instances[id]
        found = successors.get(gone.info.host, [])
        if found and found[-1].first_at > gone.seen_at:
            found.pop().has_replaced = True
            forget(service, id)
        else:
            set_stale(service, id, gone, True)


def forget_asked(service: ServiceModel, id: str, at: float) -> None:
    """Forget an instance, as an operator asked at Unix time `at`, unless it has reported since."""
    instance = service.instances.get(id)
    if instance is not None and instance.seen_at <= at:
        forget(service, id)


def _set_idle(service: ServiceModel, instance: InstanceModel, is_idle: bool) -> None:
    """An instance makes its first call, or has forked before it made one."""
    service.dirty_instances.add(instance.info.id)
    service.dirty_breakers |= instance.breakers.keys()
    for seen in instance.breakers.values():
        seen.weigh(-1)
        seen.idle = is_idle
        seen.weigh(1)


def leave(service: ServiceModel, report: wire.Report) -> None:
    """The process that sent this report ends: forget its instance, unless another process has its
    name by now."""
    instance = service.instances.get(report.instance.id)
    if instance is not None and instance.boot == report.boot:
        forget(service, report.instance.id)


def forget(service: ServiceModel, id: str) -> None:
    """An instance is gone, and with the last one that has it a breaker."""
    service.refused = {key: why for key, why in service.refused.items() if key[1] != id}
    gone = service.instances.pop(id)
    service.removed_instances.add(id)
    service.dirty_instances.discard(id)
    for name, seen in gone.breakers.items():
        breaker = seen.breaker
        seen.weigh(-1)
        del breaker.instances[id]
        service.pairs -= 1
        if breaker.instances:
            service.dirty_breakers.add(name)
        else:
            service.removed_breakers.add(name)
            service.dirty_breakers.discard(name)
            del service.breakers[name]
