"""The WebSocket of one browser."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import Annotated, Final, Literal

import msgspec
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from dashboard.access.authority import visible_services
from dashboard.api.browsers.eager_tasks import eager
from dashboard.api.browsers.presence import LOOKING, MAX_TARGETS, OpenWindow, presence
from dashboard.api.browsers.session_watch import ROLE_CHANGED, Grant, role_of, session_watch
from dashboard.common.connections import GOING_AWAY, REASON, connections
from dashboard.fleet.snapshot.process import fleet_snapshot
from dashboard.observability.metrics import counters

logger = logging.getLogger("switchgear.live")

# Key of the connection's scope that holds the server's direct send function.
FRAMES_OUT: Final = "switchgear.frames_out"
LOGIN_NEEDED: Final = 4401
MALFORMED: Final = 4400
FAILED: Final = 1011
# Bounds of a slow browser's backlog: in all, and for each service where there are many. Past it the
# browser is sent a fresh snapshot instead.
_BACKLOG: Final = 64
_BACKLOG_A_SERVICE: Final = 8
_MAX_TEXT: Final = 16_384


class _Subscription(msgspec.Struct):
    services: list[str]
    detail: Literal["full", "wall"] = "full"


_Name = Annotated[str, msgspec.Meta(max_length=120)]


class _OpenTargets(msgspec.Struct):
    """What the window has open. `doing` is the slug of an action whose dialog is open."""

    targets: Annotated[list[tuple[_Name, _Name]], msgspec.Meta(max_length=MAX_TARGETS)]
    doing: Literal[
        "looking", "force-open", "force-closed", "metrics-only", "partial", "automatic", "reset"
    ] = LOOKING


class _Message(msgspec.Struct):
    subscribe: _Subscription | None = None
    here: _OpenTargets | None = None


class LiveConsumer(AsyncWebsocketConsumer):
    """`{"subscribe": {"services": ["*"]}}` is answered with a snapshot, then frames. Each further
    subscription replaces the last and is answered with a fresh snapshot. With `"detail": "wall"`
    both are summaries, see `dashboard.fleet.snapshot.summary`. `{"here": {"targets": [[service,
    breaker]], "doing": "looking"}}` says what the window has open, and is answered with who else
    has it open, again at each change."""

    def __init__(self) -> None:
        super().__init__()
        self._wanted: frozenset[str] | None = frozenset()
        self._is_summary = False
        self._backlog: deque[str] = deque()
        self._snapshot_due = False
        # The latest of who else is at the breakers that the window has open, until it is sent.
        self._people: str | None = None
        self._is_accepted = False
        self._writer: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        self._presence = presence.enter()
        await self.accept()
        if not self.scope["user"].is_authenticated:
            await self.close(LOGIN_NEEDED, "log in first")
            return
        self._visible = await database_sync_to_async(visible_services)(self.scope["user"])
        if not self._visible:
            await self.close(ROLE_CHANGED, "your account has no role")
            return
        self._send_frame = self.scope[FRAMES_OUT]
        grant = await database_sync_to_async(self._grant)()
        self._watch = session_watch.add(grant, self._end)
        self._is_accepted = True
        counters.browsers += 1
        self._connection = connections.add(self._leave)

    async def disconnect(self, code: int) -> None:
        fleet_snapshot().forget(self._take)
        presence.leave(self._presence)
        if self._is_accepted:
            counters.browsers -= 1
            connections.remove(self._connection)
            session_watch.remove(self._watch)
        if (writer := self._writer) is not None:
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        try:
            if text_data is None or len(text_data) > _MAX_TEXT:
                raise msgspec.DecodeError("a message is text of at most 16 KiB")
            message = msgspec.json.decode(text_data, type=_Message)
            if message.subscribe is None and message.here is None:
                raise msgspec.DecodeError('a message has "subscribe" or "here"')
        except (msgspec.DecodeError, RecursionError) as error:
            body = {"type": "error", "code": "malformed", "message": str(error)}
            await self.send(text_data=msgspec.json.encode(body).decode())
            await self.close(MALFORMED)
            return
        if not self._is_accepted:
            return
        if message.here is not None:
            self._note_presence(message.here)
        if message.subscribe is not None:
            self._subscribe(message.subscribe)

    def _note_presence(self, here: _OpenTargets) -> None:
        seen = tuple(each for each in here.targets if each[0] in self._visible)
        person = self.scope["user"].get_username()
        presence.set(self._presence, OpenWindow(person, here.doing, seen), self._take_people)

    def _take_people(self, text: str) -> None:
        self._people = text
        self._start_writer()

    def _subscribe(self, subscription: _Subscription) -> None:
        self._wanted = None if "*" in subscription.services else frozenset(subscription.services)
        if not self._visible.is_all:
            asked = fleet_snapshot().services if self._wanted is None else self._wanted
            self._wanted = self._visible.among(asked)
        self._is_summary = subscription.detail == "wall"
        fleet_snapshot().forget(self._take)
        fleet_snapshot().listen(self._take, summary=self._is_summary)
        self._snapshot_due = True
        self._start_writer()

    def _take(self, service: str, text: str) -> None:
        if self._wanted is not None and service not in self._wanted:
            return
        if len(self._backlog) >= max(_BACKLOG, _BACKLOG_A_SERVICE * len(fleet_snapshot().services)):
            self._snapshot_due = True
        if not self._snapshot_due:
            self._backlog.append(text)
        self._start_writer()

    def _start_writer(self) -> None:
        """Send what is due, immediately if the browser can accept it."""
        if self._writer is None:
            try:
                self._writer = eager(self._write())
            except Exception:
                # The browser has disconnected; `disconnect` follows.
                fleet_snapshot().forget(self._take)

    async def _write(self) -> None:
        try:
            while self._snapshot_due or self._backlog or self._people:
                if self._people is not None:
                    text, self._people = self._people, None
                elif self._snapshot_due:
                    # The snapshot supersedes the backlog.
                    self._backlog.clear()
                    self._snapshot_due = False
                    text = fleet_snapshot().encoded(self._wanted, self._is_summary)
                else:
                    text = self._backlog.popleft()
                counters.frames_delivered += 1
                await self._send_frame({"type": "websocket.send", "text": text})
        except OSError:
            # The browser has disconnected; `disconnect` follows.
            fleet_snapshot().forget(self._take)
        except Exception:
            # Without its writer a page would show old states as if they were current.
            logger.exception("frames could not be written to a browser; its connection ends")
            fleet_snapshot().forget(self._take)
            with contextlib.suppress(Exception):
                await self.close(FAILED, "frames could not be written")
        finally:
            self._writer = None

    def _grant(self) -> Grant:
        person = self.scope["user"]
        return Grant(self.scope["session"].session_key, person.pk, role_of(person))

    async def _leave(self) -> None:
        """Close the connection at shutdown; the browser reconnects to another process."""
        await self._end(GOING_AWAY, REASON)

    async def _end(self, code: int, reason: str) -> None:
        fleet_snapshot().forget(self._take)
        if self._writer is not None:
            self._writer.cancel()
        await self.close(code, reason)
