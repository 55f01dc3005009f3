"""Reports and acknowledgements over plain HTTP, for agents behind proxies without WebSocket."""

from __future__ import annotations

import asyncio
import zlib
from math import ceil
from typing import Final

from breakers.protocol import messages as wire
from breakers.protocol.codec import CODECS, Codec
from breakers.protocol.paths import ACKS, RECORDINGS
from dashboard.api.agents.authentication import Authenticator, bearer, check_headers
from dashboard.api.agents.budgets import PATIENCE_S
from dashboard.api.agents.capacity import Capacity
from dashboard.api.agents.desired_feed import DesiredFeed, begins
from dashboard.api.agents.error_replies import RETRY_AFTER_S, STATUS, answer, refusal
from dashboard.api.agents.message_intake import Inbox, take
from dashboard.common.asgi_types import Receive, Scope, Send
from dashboard.observability.metrics import counters

_SAFE_WITHIN_S: Final = 15.0
_BODY_WITHIN_S: Final = 15.0
_GZIP: Final = 31
# Headers that tell a refused client what to do instead.
_HINTS: Final = {
    "busy": [(b"retry-after", str(RETRY_AFTER_S).encode())],
    "over_budget": [(b"retry-after", str(ceil(PATIENCE_S)).encode())],
    "method": [(b"allow", b"POST")],
    "encoding": [(b"accept-encoding", b"gzip")],
}


class AgentHttp:
    """`POST /api/v1/reports` answers with the desired state once the report is safe;
    `POST /api/v1/acks` answers with nothing."""

    def __init__(
        self, inbox: Inbox, authenticator: Authenticator, feed: DesiredFeed, capacity: Capacity
    ) -> None:
        self._inbox = inbox
        self._authenticator = authenticator
        self._feed = feed
        self._capacity = capacity

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a bad one with a JSON body that names the field."""
        try:
            await self._serve(scope, receive, send)
        except TimeoutError:
            await self._refuse(
                send, refusal("malformed", f"the body did not arrive within {_BODY_WITHIN_S:g} s")
            )
        except wire.WireError as error:
            await self._refuse(send, error.refused)

    async def _refuse(self, send: Send, refused: wire.Refused) -> None:
        counters.refused[refused.code] += 1
        extra = [*_HINTS.get(refused.code, []), (b"connection", b"close")]
        await _respond(send, STATUS[refused.code], answer(refused), wire.CONTENT_JSON, extra)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            raise wire.WireError(refusal("method", f"{scope['method']} is not allowed; use POST"))
        check_headers(scope["headers"])
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        address = (scope.get("client") or ("",))[0]
        grant = await self._authenticator.grant_of(bearer(scope["headers"]), address)
        if grant is None:
            raise wire.WireError(
                refusal("unauthenticated", "no valid bearer token", "Authorization")
            )
        service = grant.service
        codec = _codec(headers.get(b"content-type", ""))
        _check_length(headers.get(b"content-length", ""))
        async with asyncio.timeout(_BODY_WITHIN_S):
            body = await _body(receive, headers.get(b"content-encoding", ""))
        await self._inbox.admit(service, len(body))
        message, data = take(codec, body, grant)
        is_recording = isinstance(message, wire.Recording)
        if is_recording != (scope["path"] == RECORDINGS):
            raise wire.WireError(
                refusal("invalid", "a recording, and nothing else, goes to " + RECORDINGS, "$.type")
            )
        if is_recording or scope["path"] == ACKS:
            await self._inbox.append(service, message, data)
            await _respond(send, 204, b"", codec.content_type, [])
            return
        if not isinstance(message, wire.Report):
            raise wire.WireError(refusal("invalid", "an acknowledgement goes to " + ACKS, "$.type"))
        await self._until_safe(service, message, data)
        over_capacity = self._capacity.over_capacity(service, message.instance.id)
        new = message.instance.id if begins(message) else ""
        encoded = await self._feed.encoded(service, codec, over_capacity, new)
        received = [(b"switchgear-received", str(message.seq).encode())]
        await _respond(send, 200, encoded.data, codec.content_type, received)

    async def _until_safe(self, service: str, message: wire.FromAgent, data: bytes) -> None:
        try:
            async with asyncio.timeout(_SAFE_WITHIN_S):
                safe = await self._inbox.append(service, message, data)
                await asyncio.wait({safe})
        except TimeoutError:
            raise wire.WireError(refusal("busy", "not stored yet; send it again")) from None
        if safe.cancelled():
            raise wire.WireError(refusal("busy", "it may be lost; send it again"))


def _codec(content_type: str) -> Codec:
    wanted = content_type.partition(";")[0].strip().lower()
    for codec in CODECS:
        if codec.content_type == wanted:
            return codec
    known = ", ".join(codec.content_type for codec in CODECS)
    raise wire.WireError(
        refusal("content_type", f"{wanted[:60]!r} is not supported; {known} are", "Content-Type")
    )


def _check_length(length: str) -> None:
    if length.isdecimal() and (len(length) > 15 or int(length) > wire.MAX_MESSAGE_BYTES):
        raise _too_large()


def _too_large() -> wire.WireError:
    return wire.WireError(
        refusal("too_large", f"at most {wire.MAX_MESSAGE_BYTES} bytes are accepted")
    )


async def _body(receive: Receive, encoding: str) -> bytes:
    """The body, decompressed; what would exceed the limit is refused before it is in memory."""
    if encoding.lower() not in ("", "identity", "gzip"):
        raise wire.WireError(
            refusal("encoding", f"{encoding[:40]!r} is not supported; gzip is", "Content-Encoding")
        )
    unpack = zlib.decompressobj(_GZIP) if encoding.lower() == "gzip" else None
    body = bytearray()
    more = True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise wire.WireError(refusal("malformed", "the request ended early"))
        chunk = event.get("body", b"")
        if unpack is not None and chunk:
            try:
                chunk = unpack.decompress(chunk, wire.MAX_MESSAGE_BYTES + 1 - len(body))
            except zlib.error as error:
                raise wire.WireError(refusal("malformed", f"bad gzip: {error}")) from None
            if unpack.unused_data:
                raise wire.WireError(refusal("malformed", "bytes follow the end of the gzip body"))
        body += chunk
        if len(body) > wire.MAX_MESSAGE_BYTES:
            raise _too_large()
        more = event.get("more_body", False)
    if unpack is not None and not unpack.eof:
        raise wire.WireError(refusal("malformed", "the gzip body ends early"))
    return bytes(body)


async def _respond(
    send: Send, status: int, body: bytes, content_type: str, extra: list[tuple[bytes, bytes]]
) -> None:
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
