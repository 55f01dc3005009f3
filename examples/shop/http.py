"""A router for the fleet's small HTTP faces, on bare ASGI: nothing hides what a process does."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import msgspec

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Lifespan = Callable[[], AbstractAsyncContextManager[None]]

_MAX_BODY = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What a handler gets: the groups of its pattern, the headers in lower case, the body."""

    params: tuple[str, ...]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler gives back; `content` that is not bytes becomes JSON."""

    content: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


Handler = Callable[[Request], Awaitable[Answer]]


class App:
    """An ASGI application of routes. `lifespan` surrounds the time it serves.

    `guard` sees each request's headers first and may answer in the handler's place.
    """

    def __init__(
        self,
        lifespan: Lifespan,
        guard: Callable[[Mapping[str, str]], Answer | None] = lambda headers: None,
    ) -> None:
        self._lifespan = lifespan
        self._guard = guard
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []
        self.add("GET", "/healthz", _healthy)

    def add(self, method: str, pattern: str, handler: Handler) -> None:
        """Answer `method` on every path that `pattern`, a regular expression, matches whole."""
        self._routes.append((method, re.compile(pattern), handler))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await _send(send, await self._answer(scope, receive))

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self._lifespan():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Message, receive: Receive) -> Answer:
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        if (refused := self._guard(headers)) is not None:
            return refused
        allowed = []
        for method, pattern, handler in self._routes:
            if match := pattern.fullmatch(scope["path"]):
                if method == scope["method"]:
                    return await self._handle(handler, match.groups(), headers, receive)
                allowed.append(method)
        if allowed:
            return problem(405, "use " + " or ".join(allowed), {"Allow": ", ".join(allowed)})
        return problem(404, f"there is nothing at {scope['path'][:80]}")

    async def _handle(
        self,
        handler: Handler,
        params: tuple[str, ...],
        headers: Mapping[str, str],
        receive: Receive,
    ) -> Answer:
        body = await _read(receive)
        if body is None:
            return problem(413, f"more than {_MAX_BODY} bytes")
        try:
            return await handler(Request(params, headers, body))
        except msgspec.DecodeError as error:
            return problem(400, str(error))


def problem(status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer that says what is wrong."""
    return Answer({"error": message}, status, headers or {})


async def _healthy(request: Request) -> Answer:
    return Answer({"status": "ok"})


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None where it is too long."""
    body = b""
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        body += part
        if len(body) > _MAX_BODY:
            return None
        if not message.get("more_body"):
            return body


async def _send(send: Send, answer: Answer) -> None:
    content = answer.content
    body = content if isinstance(content, bytes) else msgspec.json.encode(content)
    headers = {
        "Content-Type": answer.content_type,
        "Content-Length": str(len(body)),
        **answer.headers,
    }
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})
