"""Refuses sockets that a page of another origin opens.

A browser sends the cookies of the session with every WebSocket, whatever page opens it. An origin
is scheme, host and port: a page of another service on the same host is another origin.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import validate_host

from dashboard.common.asgi_types import Receive, Scope, Send

_PORTS: Final = {"http": 80, "https": 443}


class SameOrigin:
    """Passes on sockets of this dashboard's own origin, and of SWITCHGEAR_TRUSTED_ORIGINS."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_allowed(scope):
            await self.application(scope, receive, send)
            return
        await receive()
        # Before the handshake a close is answered with 403.
        await send({"type": "websocket.close", "code": 4403})


def is_allowed(scope: Scope) -> bool:
    """Whether the page that opens a socket is of this dashboard."""
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    origin = headers.get(b"origin", "")
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    host = headers.get(b"host", "")
    scheme = "https" if _is_secure(scope, headers) else "http"
    mine, theirs = _parts(f"{scheme}://{host}"), _parts(origin)
    return mine is not None and mine == theirs and validate_host(mine[1], _hosts())


def _is_secure(scope: Scope, headers: dict[bytes, str]) -> bool:
    if settings.SECURE_PROXY_SSL_HEADER:
        name, value = settings.SECURE_PROXY_SSL_HEADER
        sent = headers.get(name.removeprefix("HTTP_").replace("_", "-").lower().encode(), "")
        return bool(sent.split(",")[0].strip() == value)
    return bool(scope.get("scheme") in ("wss", "https"))


def _hosts() -> list[str]:
    if settings.DEBUG and not settings.ALLOWED_HOSTS:
        return [".localhost", "127.0.0.1", "[::1]"]
    return list(settings.ALLOWED_HOSTS)


def _parts(origin: str) -> tuple[str, str, int] | None:
    """Scheme, host and port, or None if it is no origin."""
    try:
        parts = urlsplit(origin)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    if not parts.hostname or "@" in parts.netloc:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return parts.scheme, host, port
