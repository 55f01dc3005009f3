"""The HTTP side of our version: a caller that is gone cancels the work, every error is a 503."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from breakers import BreakerError
from tests.failure_modes.ours import OurProfiles


def make_app(
    service: OurProfiles,
    step_clock: Callable[[float], None],
    about: Callable[[], dict[str, float]],
) -> Any:
    """An ASGI application; clients are opened in the process and the loop that serves it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            service.open_clients()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        path = scope["path"]
        if path.startswith("/profile/"):
            await _profile(service, scope, receive, send)
        elif path == "/clock":
            step_clock(float(scope["query_string"]))
            await _reply(send, 200, {})
        else:
            await _reply(send, 200, about())

    return app


async def _profile(service: OurProfiles, scope: Any, receive: Any, send: Any) -> None:
    headers = dict(scope["headers"])
    deadline = float(headers[b"deadline-ms"]) / 1000 if b"deadline-ms" in headers else None
    user_id = int(scope["path"].rsplit("/", 1)[1])
    work = asyncio.ensure_future(service.get_user_profile(user_id, deadline))
    gone = asyncio.ensure_future(_gone(receive))
    await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
    gone.cancel()
    if not work.done():
        work.cancel()
        return
    try:
        status, content = 200, work.result()
    except (BreakerError, OSError, ValueError, TimeoutError, Exception) as error:
        status, content = 503, {"error": str(error) or type(error).__name__}
    await _reply(send, status, content)


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _reply(send: Any, status: int, content: Any) -> None:
    body = json.dumps(content).encode()
    headers = [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
