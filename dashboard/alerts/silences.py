"""Silences: adding one, ending it early, and those that last."""

from __future__ import annotations

import time
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction

from dashboard.access.authority import demand
from dashboard.access.models import Person
from dashboard.access.roles import OPERATE
from dashboard.access.services import audit
from dashboard.alerts.models import Silence

SHORTEST_SILENCE_S: Final = 60
LONGEST_SILENCE_S: Final = 30 * 86_400
# Silences that last or are to come.
MAX_SILENCES: Final = 1000
_MAX_NAME: Final = 120
_MAX_REASON: Final = 300


def lasting(now: float) -> list[Silence]:
    """The silences that have not ended, the first to end first."""
    return list(Silence.objects.filter(ends__gt=now).order_by("ends", "id")[:MAX_SILENCES])


def recent(now: float, limit: int = 50) -> list[Silence]:
    """The silences that ended last."""
    return list(Silence.objects.filter(ends__lte=now)[:limit])


def wrong_fields(silence: Silence, now: float) -> dict[str, str]:
    """What is wrong with a silence, by field."""
    wrong = {}
    for name in ("service", "breaker"):
        if len(getattr(silence, name)) > _MAX_NAME:
            wrong[name] = f"A pattern has at most {_MAX_NAME} characters."
    if not 1 <= len(silence.reason.strip()) <= _MAX_REASON:
        wrong["reason"] = f"A silence needs a reason of at most {_MAX_REASON} characters."
    begins = max(now, silence.starts)
    if silence.starts > now + LONGEST_SILENCE_S:
        wrong["starts"] = "A silence starts within 30 days."
    if not begins + SHORTEST_SILENCE_S <= silence.ends <= begins + LONGEST_SILENCE_S:
        wrong["ends"] = "A silence lasts at least a minute and at most 30 days."
    return wrong


@transaction.atomic
def add_silence(
    person: Person,
    service: str,
    breaker: str,
    reason: str,
    *,
    ends: float,
    starts: float | None = None,
    now: float | None = None,
) -> Silence:
    """Send no messages about matching breakers until `ends` (Unix time).

    Raises:
        ValidationError: by field; or there are too many silences.
    """
    demand(person, OPERATE, [service] if service and "*" not in service else None)
    now = time.time() if now is None else now
    silence = Silence(
        service=service.strip(), breaker=breaker.strip(), reason=reason.strip(),
        by=person.get_username(), starts=now if starts is None else starts, ends=ends,
    )  # fmt: skip
    if wrong := wrong_fields(silence, now):
        raise ValidationError(wrong)
    if Silence.objects.filter(ends__gt=now).count() >= MAX_SILENCES:
        raise ValidationError({"reason": f"There are {MAX_SILENCES} silences; end some first."})
    silence.save()
    _audit(person, "silence added", silence)
    return silence


@transaction.atomic
def end_silence(person: Person, pk: int, now: float | None = None) -> bool:
    """End a silence at once. Returns whether it lasted or was to come."""
    now = time.time() if now is None else now
    silence = Silence.objects.select_for_update().get(pk=pk)
    service = silence.service
    demand(person, OPERATE, [service] if service and "*" not in service else None)
    if silence.ends <= now:
        return False
    silence.ends, silence.starts = now, min(silence.starts, now)
    silence.save(update_fields=["starts", "ends"])
    _audit(person, "silence ended", silence)
    return True


def _audit(person: Person, act: str, silence: Silence) -> None:
    audit(
        person, act, service=silence.service, breaker=silence.breaker, reason=silence.reason,
        ends=silence.ends,
    )  # fmt: skip
