"""Assigns an id to each request and socket. It is sent in the response and added to log lines."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import structlog

from dashboard.common.asgi_types import Application, Receive, Scope, Send

logger = logging.getLogger("switchgear.request")
_HEADER: Final = b"x-request-id"
_SOUND: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
# The address of a status page grants access to it.
_TOKEN: Final = re.compile(r"^(/status/)[^/]+")
# Requested every few seconds by machines; not logged.
_QUIET: Final = ("/healthz", "/readyz", "/metrics", "/static/")


class RequestIds:
    """ASGI middleware that gives each connection the id that a proxy sent, or a new one."""

    def __init__(self, inner: Application) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        id = request_id_of(scope)
        began = time.perf_counter()
        status = 0

        async def answer(message: Mapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (_HEADER, id.encode())]
                message = {**message, "headers": headers}
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=id):
            try:
                await self._inner(scope, receive, answer)
            finally:
                if scope["type"] == "http" and not scope["path"].startswith(_QUIET):
                    _log_request(scope, status, time.perf_counter() - began)


def request_id_of(scope: Scope) -> str:
    """The id of a connection. An id that could forge a log line is replaced."""
    for name, value in scope["headers"]:
        if name == _HEADER:
            given: str = value.decode("latin-1")
            if _SOUND.fullmatch(given):
                return given
    return uuid.uuid4().hex


def loggable(path: str) -> str:
    """A path as logs may hold it: control characters escaped, tokens of status links left out."""
    return quote(_TOKEN.sub(r"\1***", path), safe="/:@!$&'()*+,;=~")


def _log_request(scope: Scope, status: int, took_s: float) -> None:
    logger.log(
        logging.WARNING if status >= 500 else logging.INFO,
        "%s %s %s",
        scope["method"],
        loggable(scope["path"]),
        status or "cut off",
        extra={"status": status, "took_ms": round(took_s * 1000, 1)},
    )
