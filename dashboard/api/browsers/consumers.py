"""One browser's WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Final, Literal

import msgspec
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from dashboard.api.browsers.eager_tasks import eager
from dashboard.api.browsers.session_watch import Grant, role_of, session_watch
from dashboard.common.connections import GOING_AWAY, REASON, doors
from dashboard.fleet.snapshot.process import mirror
from dashboard.observability.metrics import told

# Where the connection's scope has the server's own way of sending.
FRAMES_OUT: Final = "switchgear.frames_out"
LOGIN_NEEDED: Final = 4401
MALFORMED: Final = 4400
# So many frames may wait for a slow browser, and so many of each service where there are many;
# past that it gets a fresh snapshot instead of them.
_BACKLOG: Final = 64
_BACKLOG_A_SERVICE: Final = 8
_MAX_TEXT: Final = 16_384


class _Wish(msgspec.Struct):
    services: list[str]
    detail: Literal["full", "wall"] = "full"


class _Subscribe(msgspec.Struct):
    subscribe: _Wish


class LiveConsumer(AsyncWebsocketConsumer):
    """`{"subscribe": {"services": ["*"]}}` brings a snapshot and then frames. Asking again, with
    the same or other services, brings a fresh snapshot. With `"detail": "wall"` both are lean, see
    `dashboard.fleet.snapshot.summary`."""

    async def connect(self) -> None:
        self._wanted: frozenset[str] | None = frozenset()
        self._lean = False
        self._waiting: deque[str] = deque()
        self._snapshot_due = False
        self._is_let_in = False
        self._writer: asyncio.Task[None] | None = None
        await self.accept()
        if not self.scope["user"].is_authenticated:
            await self.close(LOGIN_NEEDED, "log in first")
            return
        self._send_frame = self.scope[FRAMES_OUT]
        grant = await database_sync_to_async(self._grant)()
        self._watch = session_watch.add(grant, self._end)
        self._is_let_in = True
        told.browsers += 1
        self._door = doors.enter(self._leave)

    async def disconnect(self, code: int) -> None:
        mirror().forget(self._take)
        if self._is_let_in:
            told.browsers -= 1
            doors.left(self._door)
            session_watch.remove(self._watch)
        if (writer := self._writer) is not None:
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        try:
            if text_data is None or len(text_data) > _MAX_TEXT:
                raise msgspec.DecodeError("text of at most 16 KiB is taken")
            wish = msgspec.json.decode(text_data, type=_Subscribe).subscribe
        except (msgspec.DecodeError, RecursionError) as error:
            body = {"type": "error", "code": "malformed", "message": str(error)}
            await self.send(text_data=msgspec.json.encode(body).decode())
            await self.close(MALFORMED)
            return
        if not self._is_let_in:
            return
        self._wanted = None if "*" in wish.services else frozenset(wish.services)
        self._lean = wish.detail == "wall"
        mirror().forget(self._take)
        mirror().listen(self._take, lean=self._lean)
        self._snapshot_due = True
        self._go_on()

    def _take(self, service: str, text: str) -> None:
        if self._wanted is not None and service not in self._wanted:
            return
        if len(self._waiting) >= max(_BACKLOG, _BACKLOG_A_SERVICE * len(mirror().services)):
            self._snapshot_due = True
        if not self._snapshot_due:
            self._waiting.append(text)
        self._go_on()

    def _go_on(self) -> None:
        """Say what there is to say, at once where the browser can take it."""
        if self._writer is None:
            try:
                self._writer = eager(self._write())
            except Exception:
                # It has left; the server will tell.
                mirror().forget(self._take)

    async def _write(self) -> None:
        try:
            while self._snapshot_due or self._waiting:
                if self._snapshot_due:
                    # What waits is older than the snapshot.
                    self._waiting.clear()
                    self._snapshot_due = False
                    text = mirror().told(self._wanted, self._lean)
                else:
                    text = self._waiting.popleft()
                told.frames_delivered += 1
                await self._send_frame({"type": "websocket.send", "text": text})
        finally:
            self._writer = None

    def _grant(self) -> Grant:
        person = self.scope["user"]
        return Grant(self.scope["session"].session_key, person.pk, role_of(person))

    async def _leave(self) -> None:
        """Tell the browser to come back elsewhere."""
        await self._end(GOING_AWAY, REASON)

    async def _end(self, code: int, reason: str) -> None:
        mirror().forget(self._take)
        if self._writer is not None:
            self._writer.cancel()
        await self.close(code, reason)
