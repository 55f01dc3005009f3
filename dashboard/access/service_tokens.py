"""Tokens of services' agents: created, rotated, revoked, and looked up."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from breakers.protocol import names
from dashboard.access.models import Person, ServiceToken
from dashboard.access.services import audit, digest

# How long a replaced token goes on, so that every process has the new one by then.
OVERLAP: Final = timedelta(days=7)
_PREFIX: Final = "swg_"
_MAX_PATTERNS: Final = 20
# How often the last use of a token is written: a thousand agents use one.
_USE_RECORDED_EACH: Final = timedelta(minutes=1)


class Grant(NamedTuple):
    """What a token stands for: a service, and the instances that may use it; none: all."""

    service: str
    instances: tuple[str, ...] = ()

    def covers(self, instance: str) -> bool:
        """Whether an instance may use the token."""
        return not self.instances or any(_matches(each, instance) for each in self.instances)


def _matches(pattern: str, name: str) -> bool:
    # Only `*` is special.
    return fnmatchcase(name, pattern.replace("[", "[[]").replace("?", "[?]"))


def patterns(text: str) -> tuple[str, ...]:
    """The patterns of instances in a text, separated by commas."""
    return tuple(each for part in text.split(",") if (each := part.strip()))


def check(service: str, instances: str = "", expires: datetime | None = None) -> None:
    """Raise ValidationError, by field, if a token cannot be made so."""
    errors: dict[str, str] = {}
    if wrong := names.problem(service):
        errors["service"] = f"{service[:120]!a} cannot be a name: {wrong}."
    found = patterns(instances)
    if len(found) > _MAX_PATTERNS or len(instances) > 500:
        errors["instances"] = f"At most {_MAX_PATTERNS} patterns, of 500 characters in all."
    for each in found:
        if wrong := names.problem(each):
            errors["instances"] = f"{each[:120]!a} cannot be the name of an instance: {wrong}."
    if expires is not None and expires <= timezone.now():
        errors["expires"] = f"{expires:%Y-%m-%d %H:%M} is over; choose a later time, or none."
    if errors:
        raise ValidationError(errors)


@transaction.atomic
def create_token(
    service: str,
    name: str = "",
    person: Person | None = None,
    raw: str | None = None,
    instances: str = "",
    expires: datetime | None = None,
) -> str:
    """Create a token for a service's agents and return it; it cannot be read again.

    With `raw`, that value becomes the token; creating it twice changes nothing. `instances` are
    patterns of the instances that may use it, separated by commas.

    Raises:
        ValidationError: by field; or `raw` is too short or belongs to another service.
    """
    check(service, instances, expires)
    if raw is not None and len(raw) < 32:
        raise ValidationError({"token": "A token has at least 32 characters."})
    raw = raw or _PREFIX + secrets.token_urlsafe(32)
    token, made = ServiceToken.objects.get_or_create(
        digest=digest(raw),
        defaults={
            "service": service,
            "name": name,
            "prefix": raw[:12],
            "created_by": person,
            "instances": ", ".join(patterns(instances)),
            "expires": expires,
        },
    )
    if token.service != service:
        raise ValidationError({"token": f"This token belongs to {token.service}."})
    if made:
        audit(
            person,
            "token created",
            service=service,
            token=token.prefix,
            name=name,
            instances=token.instances,
            expires=expires.isoformat() if expires else None,
        )
    return raw


@transaction.atomic
def rotate_token(token: ServiceToken, person: Person | None, overlap: timedelta = OVERLAP) -> str:
    """Create the successor of a token and return it. The old one goes on for `overlap`, and no
    longer than it would have.

    Raises:
        ValidationError: it was revoked or has expired.
    """
    token = ServiceToken.objects.select_for_update().get(pk=token.pk)
    now = timezone.now()
    if token.revoked is not None or (token.expires is not None and token.expires <= now):
        raise ValidationError({"token": f"{token.prefix}… is not valid any more; create another."})
    expires = None
    if token.expires is not None:  # as long as the old one was made for
        expires = now + (token.expires - token.created)
    raw = create_token(token.service, token.name, person, None, token.instances, expires)
    until = now + overlap if token.expires is None else min(token.expires, now + overlap)
    ServiceToken.objects.filter(pk=token.pk).update(expires=until)
    audit(
        person,
        "token rotated",
        service=token.service,
        token=token.prefix,
        successor=raw[:12],
        until=until.isoformat(),
    )
    return raw


@transaction.atomic
def revoke_token(token: ServiceToken, person: Person | None) -> None:
    """Revoke a token. Open sockets close within seconds."""
    if ServiceToken.objects.filter(pk=token.pk, revoked=None).update(revoked=timezone.now()):
        audit(person, "token revoked", service=token.service, token=token.prefix)


def authenticate_token(raw: str, address: str = "") -> Grant | None:
    """What this token stands for, or None where it is not valid; records its use."""
    if not 32 <= len(raw) <= 200:
        return None
    now = timezone.now()
    valid = ServiceToken.objects.filter(Q(expires=None) | Q(expires__gt=now), revoked=None)
    found = valid.filter(digest=digest(raw)).only("service", "instances", "last_used").first()
    if found is None:
        return None
    if found.last_used is None or found.last_used < now - _USE_RECORDED_EACH:
        # Compare and set: of a thousand agents that come at once, one writes.
        ServiceToken.objects.filter(pk=found.pk, last_used=found.last_used).update(
            last_used=now, last_address=address[:45]
        )
    return Grant(found.service, patterns(found.instances))
