"""A company's fleet: 250 breakers of 30 services, healthy or in an incident of its database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.e2e.dashboard_server import Site, breaker

SERVICES = (
    "web", "mobile-gateway", "checkout", "payments", "orders", "inventory", "catalog", "search",
    "recommendations", "pricing", "shipping", "notifications", "accounts", "sessions", "reviews",
    "media", "fraud", "ledger", "invoices", "coupons", "wishlist", "support", "analytics",
    "partners", "warehouse", "returns", "taxes", "loyalty", "subscriptions", "admin-tools",
)  # fmt: skip
DEPENDENCIES = (
    "redis", "kafka", "mail", "object-store", "feature-flags", "geo", "sms", "images", "audit-log",
)  # fmt: skip
WITH_DATABASE = 19
OPEN_AT = 18
# Callers of a service whose own breaker trips because of it.
CASCADE = (
    ("web", "checkout"), ("mobile-gateway", "checkout"), ("checkout", "payments"),
    ("checkout", "orders"), ("web", "search"), ("orders", "inventory"),
)  # fmt: skip


@dataclass(frozen=True)
class Spot:
    """One breaker of the fleet."""

    service: str
    name: str
    rate: int


def spots() -> list[Spot]:
    """Every breaker: 19 guard postgres, six guard other services, the rest guard what is shared."""
    found = [Spot(name, "postgres", 22 + n) for n, name in enumerate(SERVICES[:WITH_DATABASE])]
    found += [Spot(caller, callee, 60) for caller, callee in CASCADE]
    n = 0
    while len(found) < 250:
        spot = Spot(SERVICES[n % len(SERVICES)], DEPENDENCIES[n // len(SERVICES)], 5 + n % 40)
        found.append(spot)
        n += 1
    return found


def is_hit(spot: Spot) -> bool:
    """Whether the incident opens it."""
    if spot.name == "postgres":
        return SERVICES.index(spot.service) < OPEN_AT
    return (spot.service, spot.name) in CASCADE


def report(site: Site, *, incident: bool, tripped: bool = False) -> None:
    """One report of each service. `tripped` adds the transitions that began the incident."""
    by_service: dict[str, list[dict[str, Any]]] = {}
    for spot in spots():
        hit = incident and is_hit(spot)
        counts = {"rejected": spot.rate * 5} if hit else {"success": spot.rate * 5}
        sketch: dict[str, Any] = {"buckets": {}, "sum_s": 0.0}
        if not hit:
            sketch = {
                "buckets": {"-36": spot.rate * 4, "-28": spot.rate},
                "sum_s": 0.02 * spot.rate,
            }
        made = breaker(
            spot.name,
            "open" if hit else "closed",
            was="closed" if hit and tripped else "",
            counts=counts,
            histogram=sketch,
            cause="5 failures in a row" if hit else "",
        )
        by_service.setdefault(spot.service, []).append(made)
    for service, breakers in by_service.items():
        site.report(service, *breakers)
