"""Django's cache for `ResilientCaller(cache=…)`. A cache that is down is a cache miss."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from breakers.calls.backends import swallow_errors
from breakers.errors import PolicyError
from breakers.integrations.missing_extra import missing_extra

try:
    from django.core.cache import BaseCache, caches
except ImportError as error:
    raise missing_extra("django", error) from error

# Memcached's limit is 250; Django adds a prefix and a version.
_KEY_LENGTH_MAX: Final = 180


class _Base:
    """Shared by both caches: the cache's alias and its keys."""

    def __init__(self, alias: str = "default", *, namespace: str = "breakers") -> None:
        if not namespace:
            raise PolicyError(
                "namespace", namespace, "a non-empty string that is unique in this cache"
            )
        # Raises for an unknown alias, which would later only be a cache miss.
        caches[alias]
        self._alias, self._prefix = alias, f"{namespace}:"

    def _cache(self) -> BaseCache:
        # Django has one cache object per thread.
        return caches[self._alias]

    def _key(self, key: str) -> str:
        full = self._prefix + key
        if (
            len(full) <= _KEY_LENGTH_MAX
            and full.isascii()
            and full.isprintable()
            and " " not in full
        ):
            return full
        # Some backends refuse such keys.
        return self._prefix + hashlib.sha256(key.encode()).hexdigest()


class DjangoCache(_Base):
    """Stores values in a cache of Django's settings, under `namespace:key`.

    Backends with whole seconds (Redis, Memcached) round `ttl` down. They do not store a value for
    less than one second.

    Args:
        alias: a key of `CACHES`.
        namespace: the prefix of all keys.

    Raises:
        InvalidCacheBackendError: `CACHES` has no such alias.
        PolicyError: naming the field, its value and what would be right.
    """

    def get(self, key: str) -> Any:
        """The value, or None if it is missing or expired, or the cache fails."""
        with swallow_errors("Django cache"):
            return self._cache().get(self._key(key))
        return None

    def set(self, key: str, value: Any, ttl: float) -> None:
        """Store `value` for `ttl` seconds."""
        with swallow_errors("Django cache"):
            self._cache().set(self._key(key), value, timeout=ttl)


class AsyncDjangoCache(_Base):
    """`DjangoCache` for `acall`."""

    async def get(self, key: str) -> Any:
        """The value, or None if it is missing or expired, or the cache fails."""
        with swallow_errors("Django cache"):
            return await self._cache().aget(self._key(key))
        return None

    async def set(self, key: str, value: Any, ttl: float) -> None:
        """Store `value` for `ttl` seconds."""
        with swallow_errors("Django cache"):
            await self._cache().aset(self._key(key), value, timeout=ttl)
