"""The first administrator, created through a one-time link. There is no default password."""

from __future__ import annotations

from django.core import signing
from django.db import transaction

from dashboard.access.models import Person
from dashboard.access.people import keep_person
from dashboard.access.roles import ADMIN

_SALT = "first administrator"
VALID_FOR_S = 3600


def first_run_token() -> str | None:
    """A token for the link, or None if there are accounts already."""
    return None if Person.objects.exists() else signing.dumps("first", salt=_SALT)


def is_valid(token: str) -> bool:
    """Whether a link still creates the first administrator: for an hour, until somebody exists."""
    try:
        signing.loads(token, salt=_SALT, max_age=VALID_FOR_S)
    except signing.BadSignature:
        return False
    return not Person.objects.exists()


@transaction.atomic
def create_first_admin(token: str, username: str, password: str) -> Person | None:
    """Create the first administrator, or None if the link is no longer valid.

    Raises:
        ValidationError: a weak password or an invalid name.
    """
    if not is_valid(token):
        return None
    return keep_person(username, ADMIN, password)
