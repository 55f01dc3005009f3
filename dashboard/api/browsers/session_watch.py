"""Ends a browser's socket soon after its session does.

A socket is authenticated once, when it opens. This watch checks all open sockets of the process
again every two seconds: a session that has ended (log-out, expiry, changed password), a person who
was deactivated and a role that has changed each close the socket, with a code that says why.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from channels.db import database_sync_to_async
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from dashboard.access.authority import visible_services
from dashboard.access.models import Person

logger = logging.getLogger("switchgear")

EVERY_S: Final = 2.0
SESSION_ENDED: Final = 4401
ROLE_CHANGED: Final = 4403
_REASONS: Final = {
    SESSION_ENDED: "the session has ended: log in again",
    ROLE_CHANGED: "your role has changed: load the page again",
}
# Rows in one query.
_CHUNK: Final = 500

Close = Callable[[int, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Grant:
    """What a socket was opened with: the session, the person and the person's role."""

    session_key: str
    person_id: int
    role: str


def role_of(person: Person) -> str:
    """A text that changes when what the person may do changes."""
    groups = sorted(person.groups.values_list("name", flat=True))
    direct = sorted(person.user_permissions.values_list("codename", flat=True))
    teams = sorted(visible_services(person).patterns)
    return f"{person.is_superuser} {person.is_staff} {groups} {direct} {teams}"


def ended(grants: Iterable[Grant]) -> dict[Grant, int]:
    """The grants that no longer hold, each with its close code."""
    asked = set(grants)
    keys = sorted({each.session_key for each in asked})
    ids = sorted({each.person_id for each in asked})
    people: dict[int, Person] = {}
    for at in range(0, len(ids), _CHUNK):
        found = Person.objects.filter(is_active=True).in_bulk(ids[at : at + _CHUNK])
        people.update(found)
    holders: dict[str, int] = {}
    for at in range(0, len(keys), _CHUNK):
        rows = Session.objects.filter(
            session_key__in=keys[at : at + _CHUNK], expire_date__gt=timezone.now()
        )
        for row in rows:
            if (holder := _holder(row, people)) is not None:
                holders[row.session_key] = holder
    roles = {id: role_of(person) for id, person in people.items()}
    gone: dict[Grant, int] = {}
    for each in asked:
        if holders.get(each.session_key) != each.person_id:
            gone[each] = SESSION_ENDED
        elif roles[each.person_id] != each.role:
            gone[each] = ROLE_CHANGED
    return gone


def _holder(row: Session, people: dict[int, Person]) -> int | None:
    """The id of the person whose session this is, if it still holds."""
    data = row.get_decoded()
    person = people.get(int(data.get(SESSION_KEY, 0)))
    if person is None:
        return None
    hashed = data.get(HASH_SESSION_KEY, "")
    hashes = [person.get_session_auth_hash(), *person.get_session_auth_fallback_hash()]
    held = any(constant_time_compare(hashed, each) for each in hashes)
    return person.pk if held else None


class SessionWatch:
    """The open sockets of this process and the sessions they were opened with."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[Grant, Close]] = {}
        self._last = 0
        self._task: asyncio.Task[None] | None = None

    def add(self, grant: Grant, close: Close) -> int:
        """Watch a socket; returns what `remove` takes."""
        self._last += 1
        self._open[self._last] = (grant, close)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="session watch")
        return self._last

    def remove(self, number: int) -> None:
        """The socket is closed."""
        self._open.pop(number, None)

    async def _run(self) -> None:
        while self._open:
            await asyncio.sleep(EVERY_S)
            try:
                await self.check()
            except Exception:
                # A database that is down ends nobody's view; the next round asks again.
                logger.warning("the sessions of open sockets could not be checked", exc_info=True)

    async def check(self) -> None:
        """Close each socket whose session has ended or whose person's role has changed."""
        before = dict(self._open)
        gone = await database_sync_to_async(ended)([grant for grant, _ in before.values()])
        for number, (grant, close) in before.items():
            if (code := gone.get(grant)) is not None and number in self._open:
                self.remove(number)
                try:
                    await close(code, _REASONS[code])
                except Exception:
                    logger.debug("a socket was closed already", exc_info=True)


session_watch: Final = SessionWatch()
