"""Who is connected to this process, so that they can be told when it ends. Imports none of the
rooms: their sockets register here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final

logger = logging.getLogger("switchgear")

# "Service restart" (RFC 6455's registry): come back soon, at a random moment.
GOING_AWAY: Final = 1012
REASON: Final = "restarting: connect again at a random moment of the next second"
# So many a second at most are told: whoever they come back to must take them in.
_A_SECOND: Final = 2000

Leave = Callable[[], Awaitable[None]]


class Doors:
    """The open sockets of this process."""

    def __init__(self) -> None:
        self._open: dict[int, Leave] = {}
        self._last = 0
        self._gone = asyncio.Event()

    def enter(self, leave: Leave) -> int:
        """Somebody is connected; `leave` tells them to go. Returns what `left` takes."""
        self._last += 1
        self._open[self._last] = leave
        return self._last

    def left(self, number: int) -> None:
        """They are gone."""
        self._open.pop(number, None)
        self._gone.set()

    async def drain(self, within_s: float) -> int:
        """Tell everybody to go, evenly over at most half of the time, and wait until they have
        gone or the time is over. Returns how many had not gone by then."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        leaving = list(self._open.values())
        if leaving:
            logger.info("telling %d sockets to connect elsewhere", len(leaving))
        pause_s = min(1 / _A_SECOND, within_s / 2 / max(1, len(leaving)))
        for leave in leaving:
            try:
                async with asyncio.timeout_at(until):
                    await leave()
            except Exception:  # it is gone already, or takes nothing more
                logger.debug("a socket could not be told", exc_info=True)
            await asyncio.sleep(pause_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                while self._open:
                    self._gone.clear()
                    await self._gone.wait()
        if self._open:
            logger.warning("%d sockets have not gone in %g s", len(self._open), within_s)
        return len(self._open)


doors: Final = Doors()
