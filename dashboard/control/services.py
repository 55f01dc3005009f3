"""The acts of operators. Authority and audit live here, so that every face inherits them."""

import math
import secrets
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from breakers import wire
from dashboard.access.models import Person
from dashboard.access.roles import OPERATE
from dashboard.access.services import audit, demand
from dashboard.control.models import FORCED_STATES, Ack, Override
from dashboard.fleet.services import bump_revision

_STATES = dict(FORCED_STATES)


def force(
    person: Person,
    service: str,
    breaker: str,
    state: str,
    reason: str,
    expires_in_s: float,
    instances: Sequence[str] | None = None,
) -> Override:
    """Force a breaker to a state on its instances, until the expiry or until released.

    Raises:
        PermissionDenied: the person may not operate.
        ValidationError: by field, with what would be right.
    """
    demand(person, OPERATE)
    reason = reason.strip()
    _check(service, breaker, state, reason, expires_in_s, instances)
    with transaction.atomic():
        revision = bump_revision(service)
        _end(service, breaker, by=person.get_username(), why=f"replaced: {reason}")
        override = Override.objects.create(
            id=secrets.token_hex(8),
            service=service,
            breaker=breaker,
            instances=list(instances) if instances else None,
            state=state,
            reason=reason,
            author=person,
            by=person.get_username(),
            revision=revision,
            expires=timezone.now() + timedelta(seconds=expires_in_s),
        )
        audit(
            person,
            state,
            service=service,
            breaker=breaker,
            reason=reason,
            override=override.id,
            expires_in_s=expires_in_s,
            instances=override.instances,
        )
    return override


def lift(person: Person, service: str, breaker: str, reason: str) -> bool:
    """Return a breaker to its automatic state; whether there was an override to lift.

    Raises:
        PermissionDenied: the person may not operate.
        ValidationError: no reason.
    """
    demand(person, OPERATE)
    reason = reason.strip()
    _check_reason(reason)
    with transaction.atomic():
        if not _end(service, breaker, by=person.get_username(), why=reason):
            return False
        bump_revision(service)
        audit(person, "automatic", service=service, breaker=breaker, reason=reason)
    return True


def expire_due() -> int:
    """End every override whose time is over; returns how many. Agents do so by themselves too."""
    due = Override.objects.filter(ended=None, expires__lte=timezone.now())
    ended = 0
    for override in due:
        with transaction.atomic():
            # Compare-and-set: of two workers, and of a person who lifts it just now, one wins.
            if Override.objects.filter(pk=override.pk, ended=None).update(
                ended=override.expires, ended_why="expired"
            ):
                bump_revision(override.service)
                audit(None, "expired", service=override.service, breaker=override.breaker)
                ended += 1
    return ended


def record_ack(service: str, ack: wire.Ack) -> None:
    """Keep what an instance answered to each override it was told of."""
    told = {item.id: item for item in ack.items if item.kind == "override" and item.id}
    known = Override.objects.filter(service=service, id__in=told).values_list("id", flat=True)
    rows = [
        Ack(
            override_id=id,
            instance=ack.instance,
            status=told[id].status[:20],
            reason=told[id].reason,
            at=timezone.now(),
        )
        for id in known
    ]
    Ack.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["override", "instance"],
        update_fields=["status", "reason", "at"],
    )


def _end(service: str, breaker: str, by: str, why: str) -> bool:
    standing = Override.objects.filter(service=service, breaker=breaker, ended=None)
    return bool(standing.update(ended=timezone.now(), ended_by=by, ended_why=why[:500]))


def _check(
    service: str,
    breaker: str,
    state: str,
    reason: str,
    expires_in_s: float,
    instances: Sequence[str] | None,
) -> None:
    errors: dict[str, str] = {}
    for field, name in (("service", service), ("breaker", breaker)):
        if not 1 <= len(name) <= 120 or not name.isprintable():
            errors[field] = f"A {field} has a name of 1 to 120 printable characters."
    if state not in _STATES:
        errors["state"] = f"{state!r} cannot be forced; there are {', '.join(_STATES)}."
    longest = settings.OVERRIDE_MAX_S
    if not math.isfinite(expires_in_s) or expires_in_s <= 0:
        errors["expires_in"] = "This is in the past; an override ends at a time to come."
    elif expires_in_s > longest:
        errors["expires_in"] = f"At most {longest / 86_400:.0f} days; renew it if it must stay."
    if instances is not None and (
        not instances
        or len(instances) > 10_000
        or not all(isinstance(each, str) and 1 <= len(each) <= 120 for each in instances)
    ):
        errors["instances"] = "Name at least one instance, or leave it empty for all of them."
    if errors:
        raise ValidationError(errors)
    _check_reason(reason)


def _check_reason(reason: str) -> None:
    if not reason:
        raise ValidationError({"reason": "Say why: whoever is on call next reads it."})
    if len(reason) > 500:
        raise ValidationError({"reason": f"{len(reason)} characters; at most 500."})
