"""Write operations of this app: audit entries and saved views."""

import hashlib
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from dashboard.access import audit_chain
from dashboard.access.models import AuditEntry, Person, SavedView


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
