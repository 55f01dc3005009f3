"""Changing overrides that stand: extend, shorten, hand over, release all that a person holds."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from dashboard.access.authority import demand, may
from dashboard.access.models import Person
from dashboard.access.roles import OPERATE
from dashboard.access.services import audit
from dashboard.control import actions
from dashboard.control.actions import Outcome
from dashboard.control.models import Override
from dashboard.control.override_writes import AUTOMATIC, Target
from dashboard.control.queries import standing
from dashboard.control.validation import check_force, check_reason
from dashboard.fleet.services import bump_revision

_CHANGED: Final = "Someone has changed it meanwhile; look again."


@transaction.atomic
def change_end(
    person: Person, id: str, expires_in_s: float, reason: str, seen: str = ""
) -> Override:
    """Extend or shorten an override: it ends `expires_in_s` from now. `seen` is the version of it
    that the person has seen, if they have.

    Raises:
        PermissionDenied: the person may not operate there.
        ValidationError: by field, or the override does not stand any more.
    """
    row = _standing(id)
    demand(person, OPERATE, [row.service])
    _check_seen(row, seen)
    check_reason(reason.strip())
    check_force(row.service, row.breaker, row.state, expires_in_s, row.instances, row.share)
    bump_revision(row.service)
    before, after = row.expires, timezone.now() + timedelta(seconds=expires_in_s)
    if not Override.objects.filter(pk=id, ended=None, expires=before).update(expires=after):
        raise ValidationError({"override": _CHANGED})
    audit(
        person,
        "extended" if after > before else "shortened",
        service=row.service,
        breaker=row.breaker,
        reason=reason.strip(),
        override=id,
        before=before.isoformat(),
        until=after.isoformat(),
    )
    row.expires = after
    return row


@transaction.atomic
def hand_over(person: Person, id: str, to: Person, reason: str = "", seen: str = "") -> Override:
    """Make another person the holder of an override.

    Raises:
        PermissionDenied: the person may not operate there.
        ValidationError: the other person may not, or the override does not stand any more.
    """
    row = _standing(id)
    demand(person, OPERATE, [row.service])
    _check_seen(row, seen)
    if not may(to, OPERATE, row.service):
        wrong = f"{to.get_username()} may not operate {row.service}."
        raise ValidationError({"to": wrong})
    bump_revision(row.service)
    held = Override.objects.filter(pk=id, ended=None, by=row.by)
    if not held.update(author=to, by=to.get_username()):
        raise ValidationError({"override": _CHANGED})
    audit(
        person,
        "handed over",
        service=row.service,
        breaker=row.breaker,
        reason=reason.strip()[:500],
        override=id,
        to=to.get_username(),
    )
    row.author, row.by = to, to.get_username()
    return row


def version(row: Override) -> str:
    """What a person sees of an override that can be changed: its holder and its end."""
    return f"{row.by}@{row.expires.isoformat()}"


def _check_seen(row: Override, seen: str) -> None:
    if seen and seen != version(row):
        raise ValidationError({"override": _CHANGED})


def release_all_of(person: Person, id: str, holder: str, reason: str) -> Outcome:
    """Return to automatic everything that a person holds, where the caller may operate.

    Raises:
        PermissionDenied: the person may not operate.
        ValidationError: nothing is held.
    """
    demand(person, OPERATE, ())
    held = [row for row in standing().filter(by=holder) if may(person, OPERATE, row.service)]
    if not held:
        raise ValidationError({"by": f"{holder[:150]} holds no override that you may release."})
    targets = [Target(row.service, row.breaker) for row in held]
    return actions.act(person, id, targets, AUTOMATIC, reason)


def _standing(id: str) -> Override:
    row = standing().filter(pk=id).first() if "\0" not in id else None
    if row is None:
        raise ValidationError({"override": f"No override {id[:32]!r} stands."})
    return row
