"""What a field of a policy was at each time, out of the versions of its scopes."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Q

from dashboard.policies.knobs import defaults
from dashboard.policies.models import BreakerPolicy, PolicyVersion

# The latest so many changes of one breaker are followed.
_MOST: Final = 200


def value_steps(
    service: str, breaker: str, field: str, since: float, until: float
) -> list[tuple[float, Any]]:
    """Since when a field had which value, oldest first: the value at `since`, then each change up
    to `until` (Unix time). What code declared before it was deployed last is not kept: its value
    now counts for all the time."""
    of_breaker = Q(policy__service=service, policy__breaker__in=("", breaker))
    of_fleet = Q(policy__service="", policy__breaker="")
    newest = PolicyVersion.objects.filter(of_breaker | of_fleet).select_related("policy")
    versions = sorted(newest.order_by("-created")[:_MOST], key=lambda each: each.created)
    own = BreakerPolicy.objects.filter(service=service, breaker=breaker).first()
    below = {**defaults(), **(own.declared if own else {})}
    # The scopes from the lowest to the highest, as far as the versions read have come.
    scopes: dict[tuple[str, str], dict[str, Any]] = {
        ("", ""): {},
        (service, ""): {},
        (service, breaker): {},
    }

    def value() -> Any:
        found = below.get(field)
        for fields in scopes.values():
            found = fields.get(field, found)
        return found

    steps = [(since, value())]
    for each in versions:
        scopes[each.policy.service, each.policy.breaker] = each.fields
        at = each.created.timestamp()
        if at > until:
            break
        if at <= since:
            steps = [(since, value())]
        elif value() != steps[-1][1]:
            steps.append((at, value()))
    return steps


def saves(
    service: str, breaker: str, since: float, until: float, limit: int
) -> list[PolicyVersion]:
    """The versions of a breaker's policy, or of its service's or the fleet's, that were saved in a
    range of Unix times; the newest first."""
    scopes = Q(policy__service=service, policy__breaker__in=("", breaker)) | Q(
        policy__service="", policy__breaker=""
    )
    rows = PolicyVersion.objects.filter(scopes).select_related("policy").order_by("-created")
    found = [row for row in rows[: 5 * limit] if since <= row.created.timestamp() <= until]
    return found[:limit]
