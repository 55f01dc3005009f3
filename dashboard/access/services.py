"""Write operations of this app: people, tokens, audit entries. Also authenticates tokens."""

import hashlib
import secrets
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from breakers.protocol import names
from dashboard.access import audit_chain
from dashboard.access.models import AuditEntry, Person, SavedView, ServiceToken

_PREFIX = "swg_"


def audit(
    person: Person | None,
    act: str,
    *,
    service: str = "",
    breaker: str = "",
    reason: str = "",
    **detail: Any,
) -> AuditEntry:
    """Record an act, inside the transaction that performs it."""
    return audit_chain.append(
        AuditEntry(
            person=person,
            by=person.get_username() if person else "switchgear",
            act=act,
            service=service,
            breaker=breaker,
            reason=reason,
            detail=detail,
        )
    )


def digest(raw: str) -> str:
    """The stored hash of a token."""
    # A token is 256 random bits, so a fast hash is as strong as a slow one; reports are frequent.
    return hashlib.sha256(raw.encode()).hexdigest()


@transaction.atomic
def create_token(
    service: str, name: str = "", person: Person | None = None, raw: str | None = None
) -> str:
    """Create a token for a service's agents and return it; it cannot be read again.

    With `raw`, that value becomes the token; creating it twice changes nothing.

    Raises:
        ValidationError: no service name, or `raw` is too short or belongs to another service.
    """
    if wrong := names.problem(service):
        raise ValidationError({"service": f"{service[:120]!a} cannot be a name: {wrong}."})
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
        },
    )
    if token.service != service:
        raise ValidationError({"token": f"This token belongs to {token.service}."})
    if made:
        audit(person, "token created", service=service, token=token.prefix, name=name)
    return raw


@transaction.atomic
def revoke_token(token: ServiceToken, person: Person | None) -> None:
    """Revoke a token. Open sockets close within seconds."""
    if ServiceToken.objects.filter(pk=token.pk, revoked=None).update(revoked=timezone.now()):
        audit(person, "token revoked", service=token.service, token=token.prefix)


def authenticate_token(raw: str) -> str | None:
    """The service whose token this is, or None."""
    if not 32 <= len(raw) <= 200:
        return None
    found = ServiceToken.objects.filter(digest=digest(raw), revoked=None).values_list(
        "service", flat=True
    )
    return found.first()


MAX_VIEWS = 50


def keep_view(person: Person, name: str, query: str) -> SavedView:
    """Save a view of the wall under a name, replacing a view of the same name.

    Raises:
        ValidationError: no name, a name that is too long, or too many views.
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= 60 or not name.isprintable():
        raise ValidationError({"name": "A view has a name of 1 to 60 printable characters."})
    if len(query) > 1000:
        raise ValidationError({"query": f"{len(query)} characters; at most 1000."})
    with transaction.atomic():
        others = person.views.exclude(name=name).count()
        if others >= MAX_VIEWS:
            raise ValidationError({"name": f"At most {MAX_VIEWS} views; forget one first."})
        view, _ = person.views.update_or_create(name=name, defaults={"query": query})
    return view


def forget_view(person: Person, pk: int) -> bool:
    """Delete one of a person's views. Returns whether it existed."""
    return bool(person.views.filter(pk=pk).delete()[0])
