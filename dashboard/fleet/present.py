"""Turns what has been seen into what faces show."""

from __future__ import annotations

from dashboard.fleet.rings import Ring, error_pct
from dashboard.fleet.seen import STALE, SeenBreaker, SeenInstance, SeenService
from dashboard.fleet.views import (
    BreakerAtInstance,
    BreakerView,
    InstanceView,
    OverrideInfo,
    OverrideView,
)

# Worst first: what an on-call engineer must see of a breaker whose instances disagree.
SEVERITY = ("open", "forced_open", "half_open", "metrics_only", "forced_closed", "closed")


def breaker_view(
    service: SeenService, name: str, at: float, override: OverrideInfo | None
) -> BreakerView:
    """A breaker over all its instances."""
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
        "override": override_view(service, name, override) if override else None,
    }


def override_view(service: SeenService, name: str, info: OverrideInfo) -> OverrideView:
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


def instance_view(instance: SeenInstance) -> InstanceView:
    """An instance as it last reported."""
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
