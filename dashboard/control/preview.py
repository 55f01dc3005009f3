"""What users will see of an act: calls stopped, fallbacks, and the services that notice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dashboard.control.override_writes import Target


@dataclass(frozen=True)
class Preview:
    """The effect of an act.

    `fallback_share` is the share of the calls whose breaker has used a fallback lately.
    `upstream` are the services that depend on those acted on, directly or through others.
    """

    calls_per_s: float
    instances: int
    services: int
    breakers: int
    fallback_share: float
    upstream: list[str]
    why_approval: str


def preview(
    snapshot: Mapping[str, Any],
    targets: Iterable[Target],
    fallbacks: Mapping[tuple[str, str], int],
    why_approval: str = "",
) -> Preview:
    """Preview an act from the fleet snapshot. `fallbacks` has the calls that a fallback answered
    in the last day, by service and breaker."""
    views = {
        (service["name"], each["name"]): each
        for service in snapshot["services"]
        for each in service["breakers"]
    }
    rate = covered = 0.0
    instances: set[tuple[str, str]] = set()
    acted: set[tuple[str, str]] = set()
    for target in targets:
        key = (target.service, target.breaker)
        acted.add(key)
        view = views.get(key)
        if view is None:
            continue
        ids = {each["id"] for each in view["instances"]}
        meant = ids if target.instances is None else ids & set(target.instances)
        calls = view["rate"] * (len(meant) / len(ids) if ids else 0)
        rate += calls
        if fallbacks.get(key) or view["counts"].get("fallback"):
            covered += calls
        instances |= {(target.service, each) for each in meant}
    services = {service for service, _ in acted}
    return Preview(
        calls_per_s=round(rate, 3),
        instances=len(instances),
        services=len(services),
        breakers=len(acted),
        fallback_share=round(covered / rate, 4) if rate else 0.0,
        upstream=sorted(upstream_of(services, views) - services),
        why_approval=why_approval,
    )


def upstream_of(services: Iterable[str], breakers: Iterable[tuple[str, str]]) -> set[str]:
    """The services that call these, directly or through others: a breaker that has the name of a
    service guards calls to it."""
    callers: dict[str, set[str]] = {}
    for service, breaker in breakers:
        callers.setdefault(breaker, set()).add(service)
    found: set[str] = set()
    rest = list(services)
    while rest:
        for caller in callers.get(rest.pop(), ()):
            if caller not in found:
                found.add(caller)
                rest.append(caller)
    return found
