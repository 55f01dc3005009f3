"""Orders to record the calls of a breaker: given, stopped, and read for the desired state."""

from __future__ import annotations

import math
import secrets
from datetime import timedelta
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from breakers.protocol import messages as wire
from breakers.protocol.recordings import MAX_RECORDING_S
from dashboard.access.authority import demand
from dashboard.access.models import Person
from dashboard.access.roles import OPERATE
from dashboard.access.services import audit
from dashboard.common.batch_deletion import sweep
from dashboard.control.models import RecordingOrder
from dashboard.control.validation import check_names
from dashboard.fleet.services import bump_revision

# At a time, of one service.
MAX_STANDING: Final = 8
_LEAST_S: Final = 10.0
_KEPT_FOR: Final = timedelta(days=30)


def record(
    person: Person,
    service: str,
    breaker: str,
    seconds: float = MAX_RECORDING_S,
    reason: str = "",
) -> RecordingOrder:
    """Record each call of a breaker, or with `*` of all breakers of the service, for a time.

    Raises:
        PermissionDenied: the person may not operate the service.
        ValidationError: by field; then nothing was done.
    """
    demand(person, OPERATE, [service])
    if breaker != wire.EVERY_BREAKER:
        check_names(service, breaker)
    if not (math.isfinite(seconds) and _LEAST_S <= seconds <= MAX_RECORDING_S):
        raise ValidationError(
            {
                "seconds": f"{seconds:g} s; a recording takes {_LEAST_S:g} s to "
                f"{MAX_RECORDING_S:g} s (10 minutes)."
            }
        )
    reason = reason.strip()
    if len(reason) > 500 or "\0" in reason:
        raise ValidationError({"reason": "A reason has up to 500 characters."})
    with transaction.atomic():
        revision = bump_revision(service)  # holds the row of the service: two orders take turns
        held = list(standing(service))
        if any(each.breaker in (breaker, wire.EVERY_BREAKER) for each in held):
            raise ValidationError({"breaker": f"{breaker} is being recorded already."})
        if len(held) >= MAX_STANDING:
            many = f"{MAX_STANDING} recordings of {service} are under way; stop one first."
            raise ValidationError({"breaker": many})
        made = RecordingOrder.objects.create(
            id=secrets.token_hex(8),
            service=service,
            breaker=breaker,
            reason=reason,
            by=person.get_username(),
            expires=timezone.now() + timedelta(seconds=seconds),
        )
        audit(
            person,
            "recording",
            service=service,
            breaker=breaker,
            reason=reason,
            seconds=seconds,
            revision=revision,
        )
    return made


def stop(person: Person, service: str, id: str) -> bool:
    """Stop a recording before its time; whether it was under way."""
    demand(person, OPERATE, [service])
    with transaction.atomic():
        rows = standing(service).filter(pk=id)
        order = rows.first()
        if order is None or not rows.update(expires=timezone.now(), ended_by=person.get_username()):
            return False
        bump_revision(service)
        audit(person, "recording stopped", service=service, breaker=order.breaker)
    return True


def standing(service: str, breaker: str | None = None) -> QuerySet[RecordingOrder]:
    """The orders under way, of a service or of one breaker."""
    rows = RecordingOrder.objects.filter(service=service, expires__gt=timezone.now())
    return rows if breaker is None else rows.filter(breaker__in=(breaker, wire.EVERY_BREAKER))


def orders(service: str) -> list[wire.RecordingOrder]:
    """The orders under way, as agents get them."""
    now = timezone.now()
    return [
        wire.RecordingOrder(row.id, row.breaker, (row.expires - now).total_seconds())
        for row in standing(service)[:MAX_STANDING]
    ]


def forget_old() -> int:
    """Delete orders that ended a month ago; the audit trail keeps who gave them."""
    return sweep(RecordingOrder.objects.filter(expires__lt=timezone.now() - _KEPT_FOR))
