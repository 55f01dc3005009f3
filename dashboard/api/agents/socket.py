"""One agent's WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

from django.db import DatabaseError

from breakers.protocol import messages as wire
from breakers.protocol.codec import CODECS, Codec
from dashboard.api.agents.authentication import TTL_S, Authenticator, bearer
from dashboard.api.agents.capacity import Capacity
from dashboard.api.agents.desired_feed import DesiredFeed
from dashboard.api.agents.error_replies import CLOSE_CODES, STATUS, answer, refusal
from dashboard.api.agents.message_intake import Inbox, take
from dashboard.common.asgi_types import Receive, Scope, Send
from dashboard.common.connections import GOING_AWAY, REASON, connections
from dashboard.observability.metrics import counters

logger = logging.getLogger("switchgear.gate")

_UNAUTHENTICATED: Final = refusal("unauthenticated", "no valid bearer token", "Authorization")


class AgentSocket:
    """Reads reports and acknowledgements, writes desired states and receipts.

    One task reads, one writes. The writer sleeps until there is a new desired state or a report
    has become safe, and says only the latest of each: a slow agent gets no backlog.
    """

    def __init__(
        self,
        inbox: Inbox,
        authenticator: Authenticator,
        feed: DesiredFeed,
        capacity: Capacity,
        receive: Receive,
        send: Send,
    ) -> None:
        self._inbox = inbox
        self._authenticator = authenticator
        self._feed = feed
        self._capacity = capacity
        self._receive = receive
        self._send = send
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._unsafe: dict[asyncio.Future[None], dict[str, int]] = {}
        self._safe: dict[str, int] = {}
        # The future of the latest report: what came before is safe earlier, or lost with it.
        self._last: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._is_lost = False
        self._is_leaving = False
        self._codec: Codec = CODECS[0]
        self._service = ""
        self._instance = ""
        self._token = ""

    async def serve(self, scope: Scope) -> None:
        """Talk to the agent until either side leaves."""
        await self._receive()
        self._token = bearer(scope["headers"])
        service = await self._authenticator.service_of(self._token)
        if service is None:
            await self._deny(scope, _UNAUTHENTICATED)
            return
        codec = next((c for c in CODECS if c.subprotocol in scope["subprotocols"]), None)
        if codec is None:
            known = ", ".join(c.subprotocol for c in CODECS)
            wrong = refusal(
                "unknown_version", f"no known subprotocol; known: {known}", "Sec-WebSocket-Protocol"
            )
            await self._deny(scope, wrong)
            return
        self._codec, self._service = codec, service
        await self._send({"type": "websocket.accept", "subprotocol": codec.subprotocol})
        self._feed.listen(service, self._changed)
        counters.agents += 1
        connection = connections.add(self.leave)
        writer = asyncio.create_task(self._write())
        try:
            await self._read()
        finally:
            counters.agents -= 1
            connections.remove(connection)
            self._feed.forget(service, self._changed)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer

    async def leave(self) -> None:
        """Tell the agent to come back elsewhere. What was not called safe it sends again there."""
        self._is_leaving = True
        await self._send({"type": "websocket.close", "code": GOING_AWAY, "reason": REASON})

    async def _deny(self, scope: Scope, refused: wire.Refused) -> None:
        counters.refused[refused.code] += 1
        if "websocket.http.response" in scope.get("extensions", {}):
            status, body = STATUS[refused.code], answer(refused)
            await self._send(
                {
                    "type": "websocket.http.response.start",
                    "status": status,
                    "headers": [(b"content-type", b"application/json")],
                }
            )
            await self._send({"type": "websocket.http.response.body", "body": body})
        else:
            await self._send({"type": "websocket.close", "code": CLOSE_CODES[refused.code]})

    async def _read(self) -> None:
        while True:
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                return
            data = event.get("bytes")
            if data is None:
                data = event["text"].encode()
            try:
                message, packed = take(self._codec, data, self._service)
            except wire.WireError as error:
                await self._refuse(error.refused)
                return
            if self._is_lost or self._last.cancelled():
                # Behind a gap nothing may be appended: what is missing would look counted.
                self._is_lost = True
                self._wake.set()
                continue
            try:
                safe = await self._inbox.append(self._service, message, packed)
            except wire.WireError as error:
                await self._refuse(error.refused)
                return
            if isinstance(message, wire.Report):
                # Reports that are appended together become safe together: one callback for all.
                self._last = safe
                incarnations = self._unsafe.get(safe)
                if incarnations is None:
                    incarnations = self._unsafe[safe] = {}
                    safe.add_done_callback(self._settle)
                incarnations[message.boot] = max(message.seq, incarnations.get(message.boot, 0))
                self._instance = message.instance.id

    def _settle(self, safe: asyncio.Future[None]) -> None:
        incarnations = self._unsafe.pop(safe)
        if safe.cancelled():
            self._is_lost = True
        else:
            for boot, seq in incarnations.items():
                self._safe[boot] = max(seq, self._safe.get(boot, 0))
        self._wake.set()

    async def _refuse(self, refused: wire.Refused) -> None:
        counters.refused[refused.code] += 1
        with contextlib.suppress(Exception):
            await self._say(refused)
            await self._send(
                {
                    "type": "websocket.close",
                    "code": CLOSE_CODES[refused.code],
                    "reason": f"{refused.field} {refused.message}"[:100],
                }
            )

    async def _say(self, message: wire.FromServer) -> None:
        if self._is_leaving:
            return
        data = self._codec.encode(message)
        if self._codec.is_text:
            await self._send({"type": "websocket.send", "text": data.decode()})
        else:
            await self._send({"type": "websocket.send", "bytes": data})

    async def _write(self) -> None:
        changed = asyncio.create_task(self._tell_desired())
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                if self._is_lost:
                    # The agent sends everything again, in order, over its next connection.
                    if not self._is_leaving:
                        await self.leave()
                    return
                safe, self._safe = self._safe, {}
                for boot, seq in safe.items():
                    await self._say(wire.Received(boot=boot, seq=seq))
        finally:
            changed.cancel()

    async def _tell_desired(self) -> None:
        """The desired state at once, at each change, and now and then a look whether a change was
        missed, there is no room for a breaker, or the token has been revoked."""
        counters: tuple[int, list[str]] | None = None
        while True:
            try:
                if await self._authenticator.service_of(self._token) != self._service:
                    await self._refuse(refusal("unauthenticated", "the token was revoked"))
                    return
                desired = await self._feed.get(self._service)
            except DatabaseError:
                # The agent keeps what it was told last; the next look may find the database back.
                logger.exception("the desired state of %s cannot be read", self._service)
            else:
                desired.over_capacity = self._capacity.over_capacity(self._service, self._instance)
                if counters != (now := (desired.revision, desired.over_capacity)):
                    await self._say(desired)
                    counters = now
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TTL_S):
                    await self._changed.wait()
            self._changed.clear()
