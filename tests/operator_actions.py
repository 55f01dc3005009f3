"""Acts on one breaker, as an operator's click makes them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from dashboard.access.models import Person
from dashboard.control import actions
from dashboard.control.models import Override
from dashboard.control.override_writes import AUTOMATIC, Target


def force(
    person: Person,
    service: str,
    breaker: str,
    state: str,
    reason: str,
    expires_in_s: float,
    instances: Sequence[str] | None = None,
    share: float | None = None,
) -> Override:
    """Force one breaker; the override that was made."""
    target = Target(service, breaker, None if instances is None else tuple(instances))
    outcome = actions.act(person, uuid.uuid4().hex, [target], state, reason, expires_in_s, share)
    (part,) = outcome.parts
    return Override.objects.get(pk=part.made[breaker])


def lift(person: Person, service: str, breaker: str, reason: str) -> bool:
    """Return one breaker to automatic; whether an override was ended."""
    act = actions.act(person, uuid.uuid4().hex, [Target(service, breaker)], AUTOMATIC, reason)
    (part,) = act.parts
    return bool(part.made)
