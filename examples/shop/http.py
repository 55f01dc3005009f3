"""What the fleet's HTTP servers share: Starlette applications that speak JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]

_MAX_BODY = 64 * 1024


class UserId(Convertor[int]):
    """`{user_id:user}` in a path: one to nine digits."""

    regex = "[0-9]{1,9}"

    def convert(self, value: str) -> int:
        """The number."""
        return int(value)

    def to_string(self, value: int) -> str:
        """The path's text."""
        return str(value)


register_url_convertor("user", UserId())


class Json(Response):
    """JSON of anything that msgspec encodes."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body."""
        return msgspec.json.encode(content)


def problem(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer that says what is wrong."""
    return Json({"error": message}, status, headers)


@asynccontextmanager
async def no_lifespan(app: Starlette) -> AsyncIterator[None]:
    """For an application with nothing to start or stop."""
    yield


def make_application(
    routes: Sequence[BaseRoute],
    lifespan: Lifespan = no_lifespan,
    middleware: Sequence[Middleware] = (),
) -> Starlette:
    """An application of these routes and `/healthz`, whose errors are JSON too."""
    return Starlette(
        routes=[*routes, Route("/healthz", _healthy)],
        lifespan=lifespan,
        middleware=middleware,
        exception_handlers={HTTPException: _refused, msgspec.DecodeError: _not_understood},
    )


async def read_body(request: Request) -> bytes:
    """The whole body.

    Raises:
        HTTPException: 413, it is longer than 64 KiB.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MAX_BODY:
            raise HTTPException(413, f"more than {_MAX_BODY} bytes")
    return body


async def _healthy(request: Request) -> Response:
    return Json({"status": "ok"})


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, error.detail, error.headers)


async def _not_understood(request: Request, error: Exception) -> Response:
    return problem(400, str(error))
