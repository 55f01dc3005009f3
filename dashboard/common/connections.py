"""Registry of open WebSocket connections, used to close them gracefully at shutdown.

Each interface registers its sockets here; this module imports none of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final

logger = logging.getLogger("switchgear")

# "Service restart" (IANA's registry of close codes): reconnect soon, at a random moment.
GOING_AWAY: Final = 1012
REASON: Final = "restarting: connect again at a random moment of the next second"
# The rate of closing is bounded, because the other processes must accept the reconnects.
_CLOSED_PER_SECOND: Final = 2000

Close = Callable[[], Awaitable[None]]


class Connections:
    """The open sockets of this process."""

    def __init__(self) -> None:
        self._open: dict[int, Close] = {}
        self._last = 0
        self._removed = asyncio.Event()

    def add(self, close: Close) -> int:
        """Register a socket; `close` asks the client to disconnect. Returns a key for `remove`."""
        self._last += 1
        self._open[self._last] = close
        return self._last

    def remove(self, key: int) -> None:
        """Unregister a socket that is closed."""
        self._open.pop(key, None)
        self._removed.set()

    async def drain(self, within_s: float) -> int:
        """Ask every client to disconnect, evenly over at most half of `within_s`, and wait until
        all have or the time is over. Returns how many are still connected."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        closing = list(self._open.values())
        if closing:
            logger.info("closing %d sockets; clients reconnect to another process", len(closing))
        pause_s = min(1 / _CLOSED_PER_SECOND, within_s / 2 / max(1, len(closing)))
        for close in closing:
            try:
                async with asyncio.timeout_at(until):
                    await close()
            except Exception:  # closed already, or not reading
                logger.debug("a socket could not be closed", exc_info=True)
            await asyncio.sleep(pause_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                while self._open:
                    self._removed.clear()
                    await self._removed.wait()
        if self._open:
            logger.warning("%d sockets did not close within %g s", len(self._open), within_s)
        return len(self._open)


connections: Final = Connections()
