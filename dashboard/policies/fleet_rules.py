"""The rules of the fleet that policies set: which quorums trip, and which breakers start warm."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from django.db.models import Q

from breakers.protocol import messages as wire
from dashboard.fleet.quorum import QuorumRule, warm_state
from dashboard.fleet.snapshot.reads import snapshot
from dashboard.fleet.snapshot.store import SnapshotNotRunning
from dashboard.policies.knobs import FLEET_FIELDS, defaults
from dashboard.policies.models import BreakerPolicy

EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


class ServiceRules:
    """The fleet's fields of one service's breakers, by name; `quorum_of` answers for any breaker,
    one without a policy of its own included."""

    def __init__(self, everywhere: Mapping[str, Any], own: Mapping[str, Mapping[str, Any]]) -> None:
        self._everywhere = everywhere
        self._own = own

    def values(self, breaker: str, declared: Mapping[str, Any] = EMPTY) -> dict[str, Any]:
        """The values in force at a breaker, the defaults included."""
        return {**defaults(), **declared, **self._everywhere, **self._own.get(breaker, {})}

    def quorum_of(self, breaker: str) -> QuorumRule | None:
        """The rule of a breaker; None where it is switched off."""
        own = self._own.get(breaker, {})
        if not (own.get("quorum_share") or self._everywhere.get("quorum_share")):
            return None
        return quorum_rule(self.values(breaker))


def quorum_rule(values: Mapping[str, Any]) -> QuorumRule | None:
    """The quorum rule of a complete policy; None where it is switched off."""
    if values.get("quorum_share") is None:
        return None
    return QuorumRule(
        values["quorum_share"],
        values["quorum_instances"],
        values["quorum_zones"],
        values["quorum_within"],
        values["quorum_hold"],
    )


class FleetRules:
    """The rules of every service."""

    def __init__(self, rows: Iterable[BreakerPolicy]) -> None:
        self._fleet: dict[str, Any] = {}
        self._services: dict[str, dict[str, Any]] = {}
        self._breakers: dict[str, dict[str, dict[str, Any]]] = {}
        for row in rows:
            if row.breaker:
                self._breakers.setdefault(row.service, {})[row.breaker] = row.fields
            elif row.service:
                self._services[row.service] = row.fields
            else:
                self._fleet = row.fields

    def of(self, service: str) -> ServiceRules:
        """The rules of one service."""
        everywhere = {**self._fleet, **self._services.get(service, {})}
        return ServiceRules(everywhere, self._breakers.get(service, {}))

    def quorum_of(self, service: str, breaker: str) -> QuorumRule | None:
        """The quorum rule of a breaker; None where it is switched off."""
        return self.of(service).quorum_of(breaker)

    @property
    def has_quorum(self) -> bool:
        """Whether any policy switches a quorum on."""
        rows = [self._fleet, *self._services.values()]
        rows += [each for service in self._breakers.values() for each in service.values()]
        return any(each.get("quorum_share") for each in rows)


def fleet_rules() -> FleetRules:
    """The rules as they are stored now."""
    sets_one = Q(fields__has_any_keys=list(FLEET_FIELDS))
    return FleetRules(BreakerPolicy.objects.filter(sets_one).exclude(number=0))


def warm_starts(service: str, instance: str) -> list[wire.WarmStart]:
    """The breakers that a new instance is to start open, as the other instances have them."""
    try:
        shots = snapshot(service)["services"]
    except SnapshotNotRunning:
        return []
    views = [
        view
        for shot in shots
        for view in shot["breakers"]
        if not view["states"].keys().isdisjoint({"open", "forced_open", "half_open"})
    ]
    if not views:
        return []
    rows = BreakerPolicy.objects.filter(
        Q(service=service, breaker__in=["", *(view["name"] for view in views)])
        | Q(service="", breaker="")
    )
    declared = {row.breaker: row.declared for row in rows if row.breaker}
    rules, now = FleetRules(rows).of(service), time.time()
    found = []
    for view in views:
        values = rules.values(view["name"], declared.get(view["name"], {}))
        state = values["warm_start"] and warm_state(view, instance, values["warm_start"], now)
        if state:
            left = max(1.0, float(values["timeout_duration"]) - state.open_for_s)
            reason = f"{state.open} of the other {state.total} instances are open"
            found.append(wire.WarmStart(view["name"], left, reason))
    return found[: wire.MAX_BREAKERS]
