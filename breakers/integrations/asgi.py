"""Middleware for ASGI applications (Starlette, FastAPI): 503 for refused calls, and a deadline for
each request. It needs no package; the deadline needs asyncio.

    app.add_middleware(BreakerMiddleware, deadline=5.0)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from breakers.circuit.policy import FieldSpec
from breakers.criticality import criticality, current_criticality
from breakers.deadline import Deadline, _current
from breakers.errors import CallTimeout
from breakers.integrations.carried import HEADERS, Carried, incoming
from breakers.integrations.error_responses import refusal, refusal_in

__all__ = ["BreakerMiddleware"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
_YEAR_S: Final = 31_536_000.0
_DEADLINE: Final = FieldSpec(
    "deadline", float, None, "Time until an answer begins", "call", 0.001, 3600.0, "s", True
)


class BreakerMiddleware:
    """Responds with 503 and `Retry-After` when a breaker, bulkhead or rate limit refused a call,
    and with 504 when a call or the request timed out. A response that has begun is not changed.

    Args:
        app: the application.
        deadline: seconds until the response must begin. The application can read `remaining()`,
            and is cancelled at the deadline. None sets no deadline. Streamed bodies and background
            tasks have no deadline.
        carried: whether to take over the deadline and the criticality that the caller sends, see
            `breakers.integrations.carried`. Only for services whose callers are trusted. Of two
            deadlines the earlier counts.

    Raises:
        PolicyError: the deadline is out of range.
    """

    def __init__(self, app: App, deadline: float | None = None, carried: bool = False) -> None:
        self.app = app
        self.deadline = None if deadline is None else float(_DEADLINE.check(deadline) or 0)
        self.carried = carried

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request. Other kinds of connection pass through unchanged."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(send)
        sent = _sent_with(scope) if self.carried else Carried()
        limits = [each for each in (self.deadline, sent.seconds) if each is not None]
        try:
            with criticality(sent.level or current_criticality()):
                if not limits:
                    await self.app(scope, receive, answer.send)
                else:
                    await self._within(min(limits), scope, receive, answer)
        except Exception as error:
            refused = refusal_in(error)
            if answer.has_begun or refused is None:
                raise
            await _send(refusal(refused), send)

    async def _within(
        self, seconds: float, scope: MutableMapping[str, Any], receive: Receive, answer: _Answer
    ) -> None:
        deadline, limit = Deadline.after(seconds), asyncio.timeout(seconds)

        def lift() -> None:
            # In all contexts at once: tasks and threads of the application have copies of this one.
            deadline.at += _YEAR_S
            if not limit.expired():
                limit.reschedule(None)

        answer.on_begin = lift
        token = _current.set(deadline)
        try:
            async with limit:
                await self.app(scope, receive, answer.send)
        except TimeoutError:
            if limit.expired():
                raise CallTimeout(seconds) from None
            raise
        finally:
            deadline.end(token)


def _sent_with(scope: MutableMapping[str, Any]) -> Carried:
    headers = dict(scope["headers"])
    values = (headers.get(name.lower().encode()) for name in HEADERS)
    return incoming(*(None if each is None else each.decode("latin-1") for each in values))


class _Answer:
    """Sends messages and records when the response begins."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_begun = False
        self.on_begin: Callable[[], None] | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and not self.has_begun:
            self.has_begun = True
            if self.on_begin is not None:
                self.on_begin()
        await self._send(message)


async def _send(answer: Any, send: Send) -> None:
    body = answer.body.encode()
    headers = {**answer.headers, "Content-Length": str(len(body))}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
