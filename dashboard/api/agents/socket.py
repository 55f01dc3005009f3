"""One agent's WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

from django.db import DatabaseError

from breakers.protocol import messages as wire
from breakers.protocol.codec import CODECS, Codec
from dashboard.access.service_tokens import Grant
from dashboard.api.agents.authentication import TTL_S, Authenticator, bearer, check_headers
from dashboard.api.agents.capacity import Capacity
from dashboard.api.agents.desired_feed import DesiredFeed, begins
from dashboard.api.agents.error_replies import CLOSE_CODES, STATUS, answer, refusal
from dashboard.api.agents.message_intake import Inbox, take
from dashboard.common.asgi_types import Message, Receive, Scope, Send
from dashboard.common.connections import GOING_AWAY, REASON, connections
from dashboard.common.supervision import run_beside
from dashboard.observability.metrics import counters

logger = logging.getLogger("switchgear.agents")

_UNAUTHENTICATED: Final = refusal("unauthenticated", "no valid bearer token", "Authorization")
# A socket that says nothing for so long after it was opened is closed.
_HELLO_WITHIN_S: Final = 30.0


class AgentSocket:
    """Reads reports and acknowledgements, writes desired states and receipts.

    One task reads; beside it, one writes receipts and one writes desired states. A failure of any
    of them ends the connection. Each writes only the latest: a slow agent gets no backlog. The
    first desired state is sent once a report of the agent was accepted.
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
        self._is_due = False
        self._accepted = asyncio.Event()
        self._unsafe: dict[asyncio.Future[None], dict[str, int]] = {}
        self._safe: dict[str, int] = {}
        # The future of the latest report: earlier ones are safe before it, or lost with it.
        self._last: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._is_lost = False
        self._is_leaving = False
        self._codec: Codec = CODECS[0]
        self._service = ""
        self._grant = Grant("")
        self._address = ""
        self._instance = ""
        self._is_new = False
        self._token = ""

    async def serve(self, scope: Scope) -> None:
        """Serve the connection until either side closes it."""
        await self._receive()
        try:
            await self._authenticate(scope)
        except wire.WireError as error:
            await self._deny(scope, error.refused)
            return
        await self._send({"type": "websocket.accept", "subprotocol": self._codec.subprotocol})
        self._feed.listen(self._service, self._changed)
        counters.agents += 1
        connection = connections.add(self.leave)
        try:
            await run_beside(
                self._read(), ("receipts", self._write()), ("desired state", self._send_desired())
            )
        finally:
            counters.agents -= 1
            connections.remove(connection)
            self._feed.forget(self._service, self._changed)
            self._is_leaving = True
            with contextlib.suppress(Exception):
                await self._send({"type": "websocket.close", "code": 1011})

    async def _authenticate(self, scope: Scope) -> None:
        check_headers(scope["headers"])
        self._token = bearer(scope["headers"])
        address = (scope.get("client") or ("",))[0]
        grant = await self._authenticator.grant_of(self._token, address)
        if grant is None:
            raise wire.WireError(_UNAUTHENTICATED)
        codec = next((c for c in CODECS if c.subprotocol in scope["subprotocols"]), None)
        if codec is None:
            known = ", ".join(c.subprotocol for c in CODECS)
            raise wire.WireError(
                refusal(
                    "unknown_version",
                    f"no known subprotocol; known: {known}",
                    "Sec-WebSocket-Protocol",
                )
            )
        self._codec, self._service = codec, grant.service
        self._grant, self._address = grant, address

    async def leave(self) -> None:
        """Ask the agent to reconnect. It sends again what no receipt has covered."""
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
            event = await self._next()
            if event is None or event["type"] == "websocket.disconnect":
                return
            data = event.get("bytes")
            if data is None:
                data = event["text"].encode()
            try:
                await self._take(data)
            except wire.WireError as error:
                await self._refuse(error.refused)
                return

    async def _next(self) -> Message | None:
        if self._accepted.is_set():
            return await self._receive()
        try:
            async with asyncio.timeout(_HELLO_WITHIN_S):
                return await self._receive()
        except TimeoutError:
            await self._refuse(refusal("busy", f"no report within {_HELLO_WITHIN_S:g} s"))
            return None

    async def _take(self, data: bytes) -> None:
        await self._inbox.admit(self._service, len(data))
        message, packed = take(self._codec, data, self._grant)
        if self._is_lost or self._last.cancelled():
            # Behind a gap nothing may be appended: what is missing would look counted.
            self._is_lost = True
            self._wake.set()
            return
        safe = await self._inbox.append(self._service, message, packed)
        if not isinstance(message, wire.Report):
            return
        # Reports that are appended together become safe together: one callback for all.
        self._last = safe
        incarnations = self._unsafe.get(safe)
        if incarnations is None:
            incarnations = self._unsafe[safe] = {}
            safe.add_done_callback(self._settle)
        incarnations[message.boot] = max(message.seq, incarnations.get(message.boot, 0))
        self._instance = message.instance.id
        if not self._accepted.is_set():
            self._is_new = begins(message)
            self._accepted.set()
            self._changed.set()

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
            self._is_leaving = True
            await self._send(
                {
                    "type": "websocket.close",
                    "code": CLOSE_CODES[refused.code],
                    "reason": f"{refused.field} {refused.message}"[:100],
                }
            )

    async def _say(self, message: wire.FromServer) -> None:
        await self._say_encoded(self._codec.encode(message))

    async def _say_encoded(self, data: bytes) -> None:
        if self._is_leaving:
            return
        kind, payload = ("text", data.decode()) if self._codec.is_text else ("bytes", data)
        try:
            await self._send({"type": "websocket.send", kind: payload})
        except OSError:
            # The client is gone; reading says so too, after what it has sent.
            self._is_leaving = True

    async def _write(self) -> None:
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

    async def _send_desired(self) -> None:
        """Send the desired state once a report was accepted, and at each change. Every few seconds
        look whether a change was missed, a breaker is over capacity, or the token was revoked."""
        sent: tuple[int, list[str]] | None = None
        loop = asyncio.get_running_loop()
        # After a change thousands of connections are woken at once. So what each look costs is not
        # paid then: not a query of the token, and no timeout around each wait.
        look = loop.call_later(TTL_S, self._look)
        try:
            while True:
                is_due, self._is_due = self._is_due, False
                try:
                    if is_due:
                        look = loop.call_later(TTL_S, self._look)
                        grant = await self._authenticator.grant_of(self._token, self._address)
                        if grant is None or grant.service != self._service:
                            ended = "the token was revoked, or has expired"
                            await self._refuse(refusal("unauthenticated", ended))
                            return
                        self._grant = grant
                    if self._accepted.is_set():
                        sent = await self._send_news(sent)
                except DatabaseError:
                    # The agent keeps its last desired state; the next look may find the database.
                    logger.exception("the desired state of %s cannot be read", self._service)
                await self._changed.wait()
                self._changed.clear()
        finally:
            look.cancel()

    def _look(self) -> None:
        self._is_due = True
        self._changed.set()

    async def _send_news(self, sent: tuple[int, list[str]] | None) -> tuple[int, list[str]]:
        over_capacity = self._capacity.over_capacity(self._service, self._instance)
        new = self._instance if self._is_new and sent is None else ""
        encoded = await self._feed.encoded(self._service, self._codec, over_capacity, new)
        if sent != (now := (encoded.revision, over_capacity)):
            await self._say_encoded(encoded.data)
        return now
