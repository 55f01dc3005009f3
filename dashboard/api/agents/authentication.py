"""Finds what a token stands for, with at most one database query every few seconds.

What strangers send is bounded before it is looked at: the length of a token, the size of the
headers, and for each address the number of unknown tokens.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from channels.db import database_sync_to_async

from breakers.protocol import messages as wire
from dashboard.access.service_tokens import Grant
from dashboard.api.agents.error_replies import refusal
from dashboard.common.token_bucket import TokenBuckets

_V = TypeVar("_V")

TTL_S: Final = 5.0
MAX_HEADER_BYTES: Final = 16 * 1024
_TOKEN_LENGTHS: Final = range(32, 201)
_VALID_KEPT: Final = 10_000
_INVALID_KEPT: Final = 1_000
# Unknown tokens from one address: a few by mistake, no search.
_UNKNOWN_PER_S: Final = 1.0
_UNKNOWN_BURST: Final = 20.0


class Authenticator:
    """Caches each result for five seconds, so that a revoked token ends that soon, on open sockets
    too. Keys are hashes: no token is kept. Unknown tokens have a small cache of their own."""

    def __init__(
        self,
        lookup: Callable[[str, str], Grant | None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lookup = lookup
        self._now = now
        self._valid: OrderedDict[bytes, tuple[float, Grant]] = OrderedDict()
        self._invalid: OrderedDict[bytes, float] = OrderedDict()
        self._asking: dict[bytes, asyncio.Future[None]] = {}
        self._unknown = TokenBuckets(_UNKNOWN_PER_S, _UNKNOWN_BURST, now=now)

    async def grant_of(self, token: str, address: str = "") -> Grant | None:
        """What the token stands for, or None. `address` is where it came from.

        Raises:
            WireError: with code `over_budget`: this address has sent too many unknown tokens.
        """
        if len(token) not in _TOKEN_LENGTHS:
            return None
        key = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        while True:
            known = self._valid.get(key)
            if known is not None and known[0] > self._now():
                return known[1]
            if self._invalid.get(key, 0.0) > self._now():
                return None
            asking = self._asking.get(key)
            if asking is None:
                break
            # A thousand sockets of one service ask at the same moment: one query for all.
            await asyncio.wait({asking})
        if known is None and self._unknown.level(address) <= 0:
            raise wire.WireError(
                refusal("over_budget", "too many unknown tokens from this address; wait a minute")
            )
        return await self._ask(key, token, address)

    async def _ask(self, key: bytes, token: str, address: str) -> Grant | None:
        asking = self._asking[key] = asyncio.get_running_loop().create_future()
        try:
            grant: Grant | None = await database_sync_to_async(self._lookup)(token, address)
        finally:
            del self._asking[key]
            asking.set_result(None)
        until = self._now() + TTL_S
        if grant is None:
            self._valid.pop(key, None)
            self._unknown.take(address)
            _keep(self._invalid, key, until, _INVALID_KEPT)
        else:
            _keep(self._valid, key, (until, grant), _VALID_KEPT)
        return grant


def _keep(cache: OrderedDict[bytes, _V], key: bytes, value: _V, most: int) -> None:
    cache[key] = value
    cache.move_to_end(key)
    if len(cache) > most:
        cache.popitem(last=False)


def bearer(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The bearer token of a request, or an empty string."""
    for name, value in headers:
        if name.lower() == b"authorization":
            if len(value) > MAX_HEADER_BYTES:
                return ""
            scheme, _, token = value.decode("latin-1").partition(" ")
            return token.strip() if scheme.lower() == "bearer" else ""
    return ""


def check_headers(headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Refuse headers that no agent sends.

    Raises:
        WireError: with code `headers_too_large`.
    """
    size = sum(len(name) + len(value) for name, value in headers)
    if size > MAX_HEADER_BYTES:
        raise wire.WireError(
            refusal(
                "headers_too_large", f"{size} bytes of headers; at most {MAX_HEADER_BYTES} are read"
            )
        )
