"""Django's cache, for `ResilientCaller(cache=…)`. One that is down is a miss."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from breakers.calls.backends import harmless
from breakers.errors import PolicyError
from breakers.integrations.missing_extra import missing

try:
    from django.core.cache import BaseCache, caches
except ImportError as error:
    raise missing("django", error) from error

# Memcached's limit is 250, and Django puts a prefix and a version before.
_LONGEST_KEY: Final = 180


class _Named:
    """Which of Django's caches, and how its keys are called."""

    def __init__(self, alias: str = "default", *, namespace: str = "breakers") -> None:
        if not namespace:
            raise PolicyError("namespace", namespace, "a text that no other user of the cache has")
        # Also how an alias that is not in the settings is refused: later it would be a miss.
        caches[alias]
        self._alias, self._prefix = alias, f"{namespace}:"

    def _cache(self) -> BaseCache:
        # A thread's own: Django keeps them apart.
        return caches[self._alias]

    def _key(self, key: str) -> str:
        full = self._prefix + key
        if len(full) <= _LONGEST_KEY and full.isascii() and full.isprintable() and " " not in full:
            return full
        # Some backends refuse such keys, each in its own way.
        return self._prefix + hashlib.sha256(key.encode()).hexdigest()


class DjangoCache(_Named):
    """Keeps values in a cache of Django's settings, under `namespace:key`.

    Backends that count in whole seconds (Redis, Memcached) cut a `ttl` down to them; less than one
    is not kept there.

    Args:
        alias: which one of `CACHES`.
        namespace: what its keys begin with.

    Raises:
        InvalidCacheBackendError: there is no cache of that alias.
        PolicyError: naming the field, its value and what would be right.
    """

    def get(self, key: str) -> Any:
        """The value, or None where there is none, its time is over, or the cache fails."""
        with harmless("Django cache"):
            return self._cache().get(self._key(key))
        return None

    def set(self, key: str, value: Any, ttl: float) -> None:
        """Keep `value` for `ttl` seconds."""
        with harmless("Django cache"):
            self._cache().set(self._key(key), value, timeout=ttl)


class AsyncDjangoCache(_Named):
    """`DjangoCache` for `acall`."""

    async def get(self, key: str) -> Any:
        """The value, or None where there is none, its time is over, or the cache fails."""
        with harmless("Django cache"):
            return await self._cache().aget(self._key(key))
        return None

    async def set(self, key: str, value: Any, ttl: float) -> None:
        """Keep `value` for `ttl` seconds."""
        with harmless("Django cache"):
            await self._cache().aset(self._key(key), value, timeout=ttl)
