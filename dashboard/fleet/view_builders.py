"""Builds the views of instances and breakers from the fleet's model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from dashboard.fleet.frame_types import (
    BreakerAtInstance,
    BreakerView,
    Figures,
    InstanceView,
    Minute,
    OverrideInfo,
    OverrideView,
    Tail,
)
from dashboard.fleet.model import STALE, BreakerModel, InstanceBreaker, InstanceModel, ServiceModel
from dashboard.fleet.recent_window import FAILED, RAN, RECENT, REFUSED, failed_pct, total

# A report may come some seconds after what it tells of; full frames mend what comes later.
TAIL: Final = 5

# Worst first: what an on-call engineer must see of a breaker whose instances disagree.
SEVERITY = (
    "open", "forced_open", "half_open", "forced_partial", "metrics_only", "forced_closed", "closed",
)  # fmt: skip


def breaker_view(
    service: ServiceModel,
    breaker: BreakerModel,
    at: float,
    override: OverrideInfo | None,
    instances: Iterable[str],
    whole: bool,
) -> BreakerView:
    """A breaker over all its instances, with what is known of these at each; `whole` with its last
    minute, else with the tail of it."""
    states = breaker.states or shown_by_all(breaker)
    outage = service.outages.current(breaker.name)
    figures, minute = _figures(breaker, int(at))
    view: BreakerView = {
        "service": service.name,
        "name": breaker.name,
        "state": next((state for state in SEVERITY if state in states), STALE),
        "states": states.copy(),
        "instances": [
            at_instance(id, breaker.instances[id])
            for id in sorted(instances)
            if id in breaker.instances
        ],
        "last": service.last.get(breaker.name),
        "override": override_view(service, breaker.name, override) if override else None,
        "outage": outage.view() if outage else None,
        **figures,
        **(minute if whole else tail_of(minute)),  # type: ignore[typeddict-item]  # mypy has one
    }
    if is_idle_half_open(breaker, int(at)):
        view["idle_half_open"] = True
    return view


def shown_by_all(breaker: BreakerModel) -> dict[str, int]:
    """The instances in each state where all of them are idle: then each one counts."""
    return dict(Counter(each.shown for each in breaker.instances.values()))


def is_idle_half_open(breaker: BreakerModel, second: int) -> bool:
    """Whether a breaker waits for test calls that nobody makes: half-open, and without a call for a
    minute. It harms nobody, so it raises no alarm."""
    states = breaker.states.keys() - {STALE}
    return (
        "half_open" in states
        and states <= {"half_open", "closed"}
        and breaker.recent.is_idle(second)
    )


def tail_of(minute: Minute) -> Tail:
    """The last seconds of a minute."""
    return {"tail": minute["spark"][-TAIL:], "tail_err": minute["spark_err"][-TAIL:]}


def _figures(breaker: BreakerModel, second: int) -> tuple[Figures, Minute]:
    """The figures of the last whole seconds; they change with the seconds, not with each frame."""
    if breaker.figures is not None and breaker.figures[0] == second:
        return breaker.figures[1:]
    recent = breaker.recent
    counts, latencies = recent.recent(second)
    spark, spark_err = recent.spark(second)
    ran, refused = total(counts, RAN), total(counts, REFUSED)
    figures: Figures = {
        "rate": round((ran + refused) / RECENT, 1),
        "ran": ran,
        "failed": total(counts, FAILED),
        "refused": refused,
        "failed_pct": failed_pct(counts),
        "p50_ms": _ms(latencies.quantile(0.5)),
        "p95_ms": _ms(latencies.quantile(0.95)),
        "p99_ms": _ms(latencies.quantile(0.99)),
        "counts": counts,
    }
    minute: Minute = {"spark": spark, "spark_err": spark_err}
    breaker.figures = (second, figures, minute)
    return figures, minute


def override_view(service: ServiceModel, name: str, info: OverrideInfo) -> OverrideView:
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
    view: OverrideView = {
        "id": info.id,
        "state": info.state,
        "reason": info.reason,
        "by": info.by,
        "created_at": info.created_at,
        "expires_at": info.expires_at,
        "applied": len(applied),
        "total": len(meant),
        "pending": sorted(meant.keys() - applied - refused.keys()),
        "refused": [{"instance": id, "reason": why} for id, why in sorted(refused.items())],
    }
    if info.share is not None:
        view["share"] = info.share
    return view


def at_instance(id: str, seen: InstanceBreaker) -> BreakerAtInstance:
    """A breaker as one instance last reported it."""
    return {
        "id": id,
        "state": seen.state,
        "since_at": round(seen.since_at, 1),
        "cause": seen.cause,
        "in_flight": seen.in_flight,
        "would_be_open": seen.would_be_open,
        "stale": seen.stale,
    }


def instance_view(instance: InstanceModel) -> InstanceView:
    """An instance as it last reported."""
    info = instance.info
    view: InstanceView = {
        "id": info.id,
        "host": info.host,
        "pid": info.pid,
        "version": info.version,
        "zone": info.zone,
        "seen_at": round(instance.seen_at, 2),
        "stale": instance.stale,
        "revision": instance.revision,
    }
    if instance.over_capacity:
        view["over_capacity"] = sorted(instance.over_capacity)
    if info.tags:
        view["tags"] = list(info.tags)
    if instance.unknown:
        view["unknown"] = list(instance.unknown)
    return view


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
