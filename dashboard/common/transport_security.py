"""Strict-Transport-Security on what bypasses Django's middleware: the API of agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings

from dashboard.common.asgi_types import Send

_STARTS: Final = ("http.response.start", "websocket.http.response.start", "websocket.accept")


def with_transport_security(send: Send) -> Send:
    """A `send` that adds the header to HTTP responses, if HTTPS is demanded."""
    seconds = settings.SECURE_HSTS_SECONDS
    if not seconds:
        return send
    header = (b"strict-transport-security", f"max-age={seconds}".encode())

    async def secured(message: Mapping[str, Any]) -> None:
        if message["type"] in _STARTS:
            message = {**message, "headers": [*message.get("headers", ()), header]}
        await send(message)

    return secured
