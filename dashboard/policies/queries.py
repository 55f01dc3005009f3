"""Reads of policies: what is in force, where each field comes from, versions and refusals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Min, Q

from breakers.circuit.policy import FieldSpec
from breakers.protocol import messages as wire
from dashboard.policies.knobs import KNOBS, defaults, sent
from dashboard.policies.models import BreakerPolicy, PolicyVersion, Refusal, Rollout

DEFAULT, CODE, FLEET, SERVICE, BREAKER = "default", "code", "fleet", "service", "breaker"
# The layers from the lowest to the highest; each field comes from the highest that sets it.
ORIGINS: Final = (DEFAULT, CODE, FLEET, SERVICE, BREAKER)


@dataclass(frozen=True)
class Effective:
    """One field of a policy: the value in force and its origin, the value below the edited scope
    and that value's origin, and the value declared in code. `is_set` says whether the edited scope
    sets it."""

    spec: FieldSpec
    value: Any
    source: str
    below: Any
    below_source: str
    declared: Any
    is_set: bool


def in_force(service: str) -> list[wire.PolicyItem]:
    """The policies of a service as they are sent to agents, in the order in which they apply."""
    rows = list(
        BreakerPolicy.objects.filter(Q(service=service) | Q(service="", breaker=""))
        .exclude(fields={})
        .order_by("service", "breaker")
    )
    everywhere: dict[str, Any] = {}
    for row in rows:
        if not row.breaker:
            everywhere.update(row.fields)
    everywhere = sent(everywhere)
    items = [wire.PolicyItem(wire.EVERY_BREAKER, everywhere)] if everywhere else []
    own = [(row.breaker, sent(row.fields)) for row in rows if row.breaker]
    items += [wire.PolicyItem(breaker, fields) for breaker, fields in own if fields]
    running = Rollout.objects.filter(policy__service=service, state=Rollout.RUNNING)
    for rollout in running.select_related("policy").order_by("policy__breaker"):
        items.append(
            wire.PolicyItem(
                rollout.policy.breaker,
                sent(rollout.fields),
                selector=wire.Selector(**rollout.selector),
            )
        )
    return items


def layers(service: str, breaker: str) -> dict[str, dict[str, Any]]:
    """The fields that each layer sets for a breaker, the lowest first."""
    rows = {
        (row.service, row.breaker): row
        for row in BreakerPolicy.objects.filter(
            Q(service=service, breaker__in=("", breaker)) | Q(service="", breaker="")
        )
    }

    def fields(*key: str) -> dict[str, Any]:
        row = rows.get((key[0], key[1]))
        return dict(row.fields) if row else {}

    own = rows.get((service, breaker))
    found = {DEFAULT: defaults(), CODE: dict(own.declared) if own else {}}
    found[FLEET] = fields("", "")
    if service:
        found[SERVICE] = fields(service, "")
    if breaker:
        found[BREAKER] = fields(service, breaker)
    return found


def explained(service: str, breaker: str) -> list[Effective]:
    """Each field of a scope: the value in force, where it comes from, and what is below it."""
    found = layers(service, breaker)
    scope = BREAKER if breaker else SERVICE if service else FLEET
    rows = []
    for name, spec in KNOBS.items():
        setting = [origin for origin in ORIGINS if name in found.get(origin, {})]
        below = [origin for origin in setting if origin != scope]
        declared = [origin for origin in setting if origin in (DEFAULT, CODE)]
        rows.append(
            Effective(
                spec,
                found[setting[-1]][name],
                setting[-1],
                found[below[-1]][name],
                below[-1],
                found[declared[-1]][name],
                scope in setting,
            )
        )
    return rows


def effective(
    service: str, breaker: str, candidate: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The values in force at a breaker; with `candidate`, as if that were its own policy."""
    found = layers(service, breaker)
    if candidate is not None:
        found[BREAKER] = dict(candidate)
    values: dict[str, Any] = {}
    for origin in ORIGINS:
        values.update(found.get(origin, {}))
    return values


def head(service: str, breaker: str) -> BreakerPolicy | None:
    """The row of a scope, if it has been reported or set."""
    return BreakerPolicy.objects.filter(service=service, breaker=breaker).first()


def versions(service: str, breaker: str, limit: int = 20) -> list[PolicyVersion]:
    """The versions of a scope, newest first."""
    rows = PolicyVersion.objects.filter(policy__service=service, policy__breaker=breaker)
    return list(rows.select_related("policy")[:limit])


def versions_since(service: str, breaker: str, number: int) -> list[PolicyVersion]:
    """The versions of a scope that are newer than `number`, oldest first."""
    rows = PolicyVersion.objects.filter(
        policy__service=service, policy__breaker=breaker, number__gt=number
    )
    return list(rows.order_by("number")[:50])


def compare(one: PolicyVersion, other: PolicyVersion) -> dict[str, dict[str, Any]]:
    """The fields in which two versions differ; a field that a version does not set is missing from
    its side."""
    return diff(one.fields, other.fields)


def diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What changes between two sets of fields. `before` and `after` are missing where the field is
    inherited, None where it is switched off."""
    changes: dict[str, dict[str, Any]] = {}
    for name in sorted({*before, *after}):
        if before.get(name, ...) == after.get(name, ...):
            continue
        change = changes[name] = {}
        if name in before:
            change["before"] = before[name]
        if name in after:
            change["after"] = after[name]
    return changes


def refusals_of(service: str, breaker: str = "") -> list[Refusal]:
    """The instances that refused the policy in force, of a service or of one breaker."""
    rows = Refusal.objects.filter(service=service)
    return list((rows.filter(breaker=breaker) if breaker else rows)[:200])


def running_rollout(service: str, breaker: str) -> Rollout | None:
    """The rollout of a breaker's policy that runs now."""
    return Rollout.objects.filter(
        policy__service=service, policy__breaker=breaker, state=Rollout.RUNNING
    ).first()


def rollouts(service: str, breaker: str, limit: int = 5) -> list[Rollout]:
    """The latest rollouts of a breaker's policy, newest first."""
    rows = Rollout.objects.filter(policy__service=service, policy__breaker=breaker)
    return list(rows.select_related("policy")[:limit])


def earliest_refusals(limit: int) -> dict[tuple[str, str], float]:
    """The breakers whose policy an instance refuses, and since when (Unix time)."""
    rows = Refusal.objects.values_list("service", "breaker").annotate(first=Min("at"))
    return {
        (service, breaker): first.timestamp()
        for service, breaker, first in rows.order_by("service", "breaker")[:limit]
    }


def scopes_in_force() -> set[tuple[str, str]]:
    """The scopes for which a policy is set: service and breaker, empty for all."""
    return set(BreakerPolicy.objects.exclude(fields={}).values_list("service", "breaker"))
