"""The sessions of a person: list them, end one or all others."""

from __future__ import annotations

from allauth.usersessions.models import UserSession
from django.db import transaction

from dashboard.access.models import Person
from dashboard.access.services import audit


def sessions_of(person: Person) -> list[UserSession]:
    """The sessions of a person that last."""
    return list(UserSession.objects.purge_and_list(person))


@transaction.atomic
def revoke_session(person: Person, pk: int) -> bool:
    """End one session of a person. Its open sockets close within seconds. Returns whether there was
    one."""
    found = UserSession.objects.filter(user=person, pk=pk).first()
    if found is None:
        return False
    audit(person, "session revoked", address=str(found.ip))
    found.end()
    return True


@transaction.atomic
def revoke_sessions(person: Person, but: str = "") -> int:
    """End all sessions of a person but the one with this key. Returns how many."""
    found = list(UserSession.objects.filter(user=person).exclude(session_key=but))
    audit(person, "sessions revoked", count=len(found))
    for each in found:
        each.end()
    return len(found)
