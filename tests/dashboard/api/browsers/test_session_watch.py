"""An open socket ends soon after what let it in: session, person, role."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from dashboard.access.models import Person
from dashboard.access.roles import OPERATOR, VIEWER
from dashboard.api.browsers.session_watch import (
    ROLE_CHANGED,
    SESSION_ENDED,
    Grant,
    SessionWatch,
    ended,
    role_of,
)


def opened(client: Client, person: Person) -> Grant:
    client.force_login(person)
    key = client.session.session_key
    assert key
    return Grant(key, person.pk, role_of(person))


def test_a_session_that_goes_on_keeps_its_socket(client: Client, viewer: Person) -> None:
    assert ended([opened(client, viewer)]) == {}


def _log_out(client: Client, person: Person) -> None:
    client.logout()


def _expire(client: Client, person: Person) -> None:
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))


def _deactivate(client: Client, person: Person) -> None:
    Person.objects.filter(pk=person.pk).update(is_active=False)


def _delete(client: Client, person: Person) -> None:
    person.delete()


def _change_password(client: Client, person: Person) -> None:
    person.set_password("another password")
    person.save()


@pytest.mark.parametrize(
    "end", [_log_out, _expire, _deactivate, _delete, _change_password], ids=lambda end: end.__name__
)
def test_what_ends_the_session_ends_the_socket(
    client: Client, viewer: Person, end: Callable[[Client, Person], None]
) -> None:
    grant = opened(client, viewer)
    end(client, viewer)
    assert ended([grant]) == {grant: SESSION_ENDED}


def test_a_change_of_role_ends_the_socket(client: Client, viewer: Person) -> None:
    grant = opened(client, viewer)
    viewer.groups.set(Group.objects.filter(name=OPERATOR))
    assert ended([grant]) == {grant: ROLE_CHANGED}
    viewer.groups.set(Group.objects.filter(name=VIEWER))
    assert ended([grant]) == {}


def test_the_session_of_somebody_else_lets_nobody_in(
    client: Client, viewer: Person, operator: Person
) -> None:
    grant = opened(client, viewer)
    forged = Grant(grant.session_key, operator.pk, role_of(operator))
    assert ended([forged, grant]) == {forged: SESSION_ENDED}


@pytest.mark.django_db(transaction=True)
async def test_a_watched_socket_is_closed_with_the_reason(client: Client, viewer: Person) -> None:
    grant = await asyncio.to_thread(opened, client, viewer)
    watch = SessionWatch()
    closed: list[tuple[int, str]] = []

    async def close(code: int, reason: str) -> None:
        closed.append((code, reason))

    watch.add(grant, close)
    await watch.check()
    assert closed == []
    await asyncio.to_thread(client.logout)
    await watch.check()
    await watch.check()
    assert closed == [(SESSION_ENDED, "the session has ended: log in again")]
