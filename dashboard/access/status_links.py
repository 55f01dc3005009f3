"""Links to the status page, created and revoked by administrators, stored as hashes."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from dashboard.access.authority import demand
from dashboard.access.models import Person, StatusLink
from dashboard.access.roles import SHARE_STATUS
from dashboard.access.services import audit, digest

LONGEST = timedelta(days=366)
MAX_SERVICES = 500
_PREFIX = "sws_"


@transaction.atomic
def create_status_link(
    person: Person, name: str, expires: datetime, services: Sequence[str] | None = None
) -> str:
    """Create a link and return its token; it cannot be read again. `services` None means all.

    Raises:
        PermissionDenied: the person may not share the status of services.
        ValidationError: by field, with what would be right.
    """
    demand(person, SHARE_STATUS)
    name = name.strip()
    check(name, expires, services)
    raw = _PREFIX + secrets.token_urlsafe(32)
    link = StatusLink.objects.create(
        name=name,
        services=sorted(set(services)) if services else None,
        prefix=raw[:12],
        digest=digest(raw),
        created_by=person,
        expires=expires,
    )
    audit(
        person,
        "status link created",
        link=link.prefix,
        name=name,
        services=link.services,
        expires=expires.isoformat(),
    )
    return raw


@transaction.atomic
def revoke_status_link(link: StatusLink, person: Person) -> bool:
    """Revoke a link. Returns whether it was still valid."""
    demand(person, SHARE_STATUS)
    changed = StatusLink.objects.filter(pk=link.pk, revoked=None).update(revoked=timezone.now())
    if changed:
        audit(person, "status link revoked", link=link.prefix, name=link.name)
    return bool(changed)


def status_link(raw: str) -> StatusLink | None:
    """The link with this token, unless it is revoked or expired."""
    if not 32 <= len(raw) <= 200:
        return None
    found = StatusLink.objects.filter(digest=digest(raw), revoked=None, expires__gt=timezone.now())
    return found.first()


def check(name: str, expires: datetime, services: Sequence[str] | None) -> None:
    """Raise `ValidationError` by field if a link would be invalid."""
    errors: dict[str, str] = {}
    if not 1 <= len(name) <= 80 or not name.isprintable():
        errors["name"] = "Say whom it is for, in 1 to 80 printable characters."
    now = timezone.now()
    if expires <= now:
        errors["expires"] = "This is in the past; a link ends at a time to come."
    elif expires > now + LONGEST:
        errors["expires"] = f"At most {LONGEST.days} days from now; make a new one then."
    if services and len(services) > MAX_SERVICES:
        errors["services"] = f"{len(services)} services; at most {MAX_SERVICES}, or all of them."
    elif services and not all(1 <= len(each) <= 120 for each in services):
        errors["services"] = "A service has a name of 1 to 120 characters."
    if errors:
        raise ValidationError(errors)
