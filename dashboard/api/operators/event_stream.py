"""What happens, as a stream of server-sent events that resumes.

Two kinds: `audit`, a row of the audit trail, in its order and without gaps; and `transition`, a
breaker that changed its state. A transition is stored some time after it happened: each look
goes back by `_OVERLAP_S` and leaves out what was sent: after a resumption some are sent again, with
the same `key`; none that was stored within that time is left out.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from channels.db import database_sync_to_async

from dashboard.access.authority import visible_services
from dashboard.access.models import AuditHead, Person
from dashboard.access.queries import audit_row, search_audit
from dashboard.api.operators.authentication import Caller, is_valid
from dashboard.api.operators.problems import ApiError
from dashboard.history.models import Transition
from dashboard.observability.metrics import counters

LONGEST_S: Final = 900.0
MAX_STREAMS: Final = 64
MAX_OF_ONE: Final = 4
_POLL_S: Final = 1.0
_OVERLAP_S: Final = 15.0
_CHECKED_EACH_S: Final = 4.0
_HEARTBEAT_S: Final = 15.0
_BATCH: Final = 200
_REMEMBERED: Final = 5000

# The id of an event, its kind, and its data.
Event = tuple[str, str, dict[str, Any]]
# Open streams of this process, by caller.
_open: Counter[str] = Counter()


@dataclass
class Position:
    """How far a stream has got: the last row of the audit trail, and the time of the latest
    transition. As text it is the id of an event."""

    number: int
    at: float
    # Transitions that were sent and may be seen again, with their times.
    seen: dict[int, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.number}-{self.at:.6f}"


def position(text: str) -> Position:
    """Where a stream begins: after the event with this id, or now if there is none.

    Raises:
        ApiError: 422 for an id that is not one of ours.
    """
    if not text:
        head = AuditHead.objects.filter(pk=1).first()
        return Position(head.number if head else 0, time.time())
    number, _, at = text.partition("-")
    try:
        found = Position(int(number), float(at))
        if not (0 <= found.number < 2**62 and math.isfinite(found.at) and 0 <= found.at < 1e11):
            raise ValueError
    except ValueError:
        wrong = "This is not the id of an event."
        raise ApiError(422, "invalid", wrong, [("Last-Event-ID", wrong)]) from None
    return found


def admit(caller: Caller) -> None:
    """Raise a 429 if there are too many streams, of this caller or of all."""
    if _open[caller.key] >= MAX_OF_ONE or _open.total() >= MAX_STREAMS:
        many = f"At most {MAX_OF_ONE} streams of one caller, and {MAX_STREAMS} of a process."
        raise ApiError(429, "too_many_streams", many, headers={"Retry-After": "5"})


async def stream(caller: Caller, begin: Position, longest_s: float) -> AsyncIterator[bytes]:
    """The events after a position, as they are stored, until the time is over or the caller is not
    valid any more. The client resumes with the id of the last one."""
    _open[caller.key] += 1
    counters.event_streams += 1
    ends = time.monotonic() + longest_s
    checked = spoke = time.monotonic()
    try:
        yield f"retry: 2000\nid: {begin}\nevent: begin\ndata: {{}}\n\n".encode()
        while (now := time.monotonic()) < ends:
            if now - checked >= _CHECKED_EACH_S:
                checked = now
                if not await database_sync_to_async(is_valid)(caller):
                    yield b'event: end\ndata: {"why": "log in again"}\n\n'
                    return
            found = await database_sync_to_async(_batch)(caller.person, begin)
            for id, kind, data in found:
                yield b"id: %s\nevent: %s\ndata: %s\n\n" % (
                    id.encode(), kind.encode(), msgspec.json.encode(data),
                )  # fmt: skip
            if found:
                spoke = now
            elif now - spoke >= _HEARTBEAT_S:
                spoke = now
                yield b": still here\n\n"
            if len(found) < _BATCH:
                await asyncio.sleep(_POLL_S)
    finally:
        counters.event_streams -= 1
        _open[caller.key] -= 1
        if not _open[caller.key]:
            del _open[caller.key]


def _batch(person: Person, at: Position) -> list[Event]:
    """What was stored since; moves the position. The id of each event is the position after it, so
    that who is cut off between two of them resumes with the second."""
    found = [(str(at), "transition", each) for each in _transitions(person, at)]
    for row in search_audit(person).filter(number__gt=at.number).order_by("number")[:_BATCH]:
        at.number = row.number
        found.append((str(at), "audit", audit_row(row)))
    return found


def _transitions(person: Person, at: Position) -> Iterator[dict[str, Any]]:
    visible = visible_services(person)
    since = at.at - _OVERLAP_S
    rows = Transition.objects.filter(at__gt=since).order_by("at", "number", "key")
    fields = ("service", "breaker", "instance", "before", "after", "cause", "at")
    new = [row for row in rows[: _BATCH + len(at.seen)] if row.key not in at.seen]
    for row in new[:_BATCH]:
        at.seen[row.key] = row.at
        at.at = max(at.at, row.at)
        if row.service in visible:
            yield {"key": str(row.key), **{name: getattr(row, name) for name in fields}}
    if len(at.seen) > _REMEMBERED:
        # So many in so short a time: what is older is passed over.
        at.seen = dict(sorted(at.seen.items(), key=lambda each: each[1])[-_REMEMBERED:])
    at.seen = {key: then for key, then in at.seen.items() if then > at.at - _OVERLAP_S}
