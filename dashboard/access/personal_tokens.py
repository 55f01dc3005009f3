"""Personal tokens of the REST API: created by their person, with scopes and an expiry."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from dashboard.access.authority import demand
from dashboard.access.models import Person, PersonalToken
from dashboard.access.roles import ADMINISTER
from dashboard.access.services import audit, digest

SCOPES: Final = {
    "read": "See services, policies, overrides and the audit trail.",
    "operate": "Force breakers, release and undo.",
    "policies": "Change policies.",
    "admin": "Manage people, teams, tokens and webhooks.",
}
LONGEST: Final = timedelta(days=366)
MAX_TOKENS: Final = 50
_PREFIX: Final = "swp_"
# How often the last use of a token is written.
_USE_RECORDED_EACH: Final = timedelta(minutes=1)


@transaction.atomic
def create_personal_token(
    person: Person, name: str, scopes: Sequence[str], expires: datetime
) -> tuple[PersonalToken, str]:
    """Create a token and return it with its secret, which cannot be read again.

    Raises:
        ValidationError: by field.
    """
    name = name.strip()
    errors: dict[str, str] = {}
    if not 1 <= len(name) <= 80 or not name.isprintable():
        errors["name"] = "A token has a name of 1 to 80 printable characters."
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        errors["scopes"] = (
            f"{unknown[0]!r} is not a scope; " if unknown else "Choose at least one: "
        )
        errors["scopes"] += f"there are {', '.join(SCOPES)}."
    now = timezone.now()
    if not now < expires <= now + LONGEST:
        errors["expires"] = f"A token expires within {LONGEST.days} days from now."
    if not errors and person.tokens.filter(revoked=None, expires__gt=now).count() >= MAX_TOKENS:
        errors["name"] = f"At most {MAX_TOKENS} valid tokens a person; revoke one first."
    if errors:
        raise ValidationError(errors)
    raw = _PREFIX + secrets.token_urlsafe(32)
    token = PersonalToken.objects.create(
        person=person,
        name=name,
        scopes=sorted(set(scopes)),
        prefix=raw[:12],
        digest=digest(raw),
        expires=expires,
    )
    audit(
        person,
        "personal token created",
        token=token.prefix,
        name=name,
        scopes=token.scopes,
        expires=expires.isoformat(),
    )
    return token, raw


@transaction.atomic
def revoke_personal_token(actor: Person, token: PersonalToken) -> bool:
    """Revoke a token of one's own, or of anyone as an administrator. Returns whether it was valid.

    Raises:
        PermissionDenied: the token is another person's.
    """
    if token.person_id != actor.pk:
        demand(actor, ADMINISTER)
    changed = PersonalToken.objects.filter(pk=token.pk, revoked=None).update(revoked=timezone.now())
    if changed:
        audit(actor, "personal token revoked", token=token.prefix, of=token.person.username)
    return bool(changed)


def authenticate(raw: str, address: str = "") -> PersonalToken | None:
    """The valid token with this secret, of an active person; records its use."""
    if not (raw.startswith(_PREFIX) and len(raw) <= 100):
        return None
    now = timezone.now()
    token = (
        PersonalToken.objects.select_related("person")
        .filter(digest=digest(raw), revoked=None, expires__gt=now, person__is_active=True)
        .first()
    )
    if token is not None and (
        token.last_used is None
        or token.last_used < now - _USE_RECORDED_EACH
        or token.last_address != address
    ):
        PersonalToken.objects.filter(pk=token.pk).update(last_used=now, last_address=address[:45])
    return token
