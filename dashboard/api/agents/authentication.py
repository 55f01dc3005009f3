"""Whose token it is, asked of the database at most every few seconds."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from channels.db import database_sync_to_async

TTL_S: Final = 5.0
_LIMIT: Final = 10_000


class Authenticator:
    """Remembers each answer for five seconds, so that a revoked token ends that soon, on open
    sockets too. Wrong tokens are remembered as well: they cost one look-up, not one each."""

    def __init__(
        self,
        lookup: Callable[[str], str | None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lookup = lookup
        self._now = now
        self._known: OrderedDict[str, tuple[float, str | None]] = OrderedDict()
        self._asking: dict[str, asyncio.Future[None]] = {}

    async def service_of(self, token: str) -> str | None:
        """The service that the token belongs to, or None."""
        known = self._known.get(token)
        if known is not None and known[0] > self._now():
            return known[1]
        if (asking := self._asking.get(token)) is not None:
            # A thousand sockets of one service ask at the same moment: one look-up for all.
            await asyncio.wait({asking})
            return await self.service_of(token)
        asking = self._asking[token] = asyncio.get_running_loop().create_future()
        try:
            service: str | None = await database_sync_to_async(self._lookup)(token)
        finally:
            del self._asking[token]
            asking.set_result(None)
        self._known[token] = (self._now() + TTL_S, service)
        self._known.move_to_end(token)
        while len(self._known) > _LIMIT:
            self._known.popitem(last=False)
        return service


def bearer(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The bearer token of a request, or an empty string."""
    for name, value in headers:
        if name.lower() == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            return token.strip() if scheme.lower() == "bearer" else ""
    return ""
