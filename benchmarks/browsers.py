"""Synthetic browsers: a live socket that takes frames and does not draw them."""

from __future__ import annotations

import json
from collections.abc import Callable

from benchmarks.sockets import TEXT, Socket, frame


class Browser:
    """One browser on the live socket. `see` is called with each message as it came."""

    def __init__(self, see: Callable[[bytes], None], cookie: str) -> None:
        self.socket = Socket(see)
        self._cookie = cookie

    async def connect(
        self, url: str, services: list[str], path: str = "/live/v1", detail: str = "full"
    ) -> None:
        """Open the connection and subscribe."""
        await self.socket.connect(url, path, f"Cookie: {self._cookie}", f"Origin: {url}")
        wish = json.dumps({"subscribe": {"services": services, "detail": detail}})
        self.socket.transport.write(frame(TEXT, wish.encode()))
