"""Answers kept in Redis, for `ResilientCaller(cache=…)`. A Redis that is down is a miss.

caller = ResilientCaller(cache=RedisCache.from_url(url, serializer="json"))
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from breakers.calls.backends import harmless
from breakers.circuit.breaker import CircuitBreaker
from breakers.errors import PolicyError
from breakers.integrations.missing_extra import missing
from breakers.integrations.permits import athrough, through
from breakers.integrations.redis import told

try:
    import redis.asyncio
    from redis.asyncio.retry import Retry as AsyncRetry
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as ConnectionLost
    from redis.retry import Retry
except ImportError as error:
    raise missing("redis", error) from error

__all__ = ["AsyncRedisCache", "RedisCache", "Serializer"]

SOCKET_TIMEOUT_S: Final = 0.25


class Serializer(NamedTuple):
    """How a value becomes bytes and comes back."""

    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]


SERIALIZERS: Final = {
    "json": Serializer(lambda value: json.dumps(value, separators=(",", ":")).encode(), json.loads),
    "pickle": Serializer(lambda value: pickle.dumps(value, 5), pickle.loads),
}
Serializers = Literal["json", "pickle"] | Serializer


class _Kept:
    """What both caches share: names, bytes, and the breaker that spares a dead Redis the asking."""

    def __init__(self, serializer: Serializers, namespace: str) -> None:
        found = SERIALIZERS.get(serializer) if isinstance(serializer, str) else serializer
        if not isinstance(found, Serializer):
            raise PolicyError("serializer", serializer, "json, pickle, or a Serializer")
        if not namespace:
            raise PolicyError("namespace", namespace, "a text that no other user of the Redis has")
        self._serializer, self._prefix = found, f"{namespace}:"
        self._breaker = CircuitBreaker(failure_threshold=3, timeout_duration=5.0, registry=None)

    def _load(self, stored: Any) -> Any:
        return None if stored is None else self._serializer.loads(stored)


def _milliseconds(ttl: float) -> int:
    return max(1, round(ttl * 1000))


class RedisCache(_Kept):
    """Keeps values under `namespace:key`.

    While Redis fails, `get` finds nothing and `set` does nothing; the log says so once a minute,
    and after three failures in a row Redis is left alone for five seconds.

    Args:
        client: a `redis.Redis` that returns bytes. `from_url` makes one with short timeouts.
        serializer: `json`, which turns tuples into lists and keys into texts; `pickle`, which keeps
            everything and must only be used where nobody else can write to that Redis, since
            unpickling runs code; or a `Serializer` of your own.
        namespace: what its keys begin with.

    Raises:
        PolicyError: naming the field, its value and what would be right.
    """

    def __init__(
        self, client: redis.Redis, *, serializer: Serializers, namespace: str = "breakers"
    ) -> None:
        super().__init__(serializer, namespace)
        self._client = client

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        serializer: Serializers,
        namespace: str = "breakers",
        timeout: float = SOCKET_TIMEOUT_S,
    ) -> RedisCache:
        """A cache with a client of its own, which waits `timeout` seconds for Redis at most, twice
        where an idle connection turns out to be dead."""
        client = redis.Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionLost,)),
        )
        return cls(client, serializer=serializer, namespace=namespace)

    def get(self, key: str) -> Any:
        """The value, or None where there is none, its time is over, or Redis does not answer."""
        with harmless("Redis cache"):
            return self._load(through(self._breaker, told, self._client.get, self._prefix + key))
        return None

    def set(self, key: str, value: Any, ttl: float) -> None:
        """Keep `value` for `ttl` seconds, to the millisecond."""
        with harmless("Redis cache"):
            data, px = self._serializer.dumps(value), _milliseconds(ttl)
            through(self._breaker, told, self._client.set, self._prefix + key, data, px=px)

    def close(self) -> None:
        """Close the client."""
        self._client.close()


class AsyncRedisCache(_Kept):
    """`RedisCache` over `redis.asyncio`, for `acall`. One a loop, as its client is."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        *,
        serializer: Serializers,
        namespace: str = "breakers",
    ) -> None:
        super().__init__(serializer, namespace)
        self._client = client

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        serializer: Serializers,
        namespace: str = "breakers",
        timeout: float = SOCKET_TIMEOUT_S,
    ) -> AsyncRedisCache:
        """As `RedisCache.from_url`."""
        client = redis.asyncio.Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=AsyncRetry(NoBackoff(), 1, supported_errors=(ConnectionLost,)),
        )
        return cls(client, serializer=serializer, namespace=namespace)

    async def get(self, key: str) -> Any:
        """The value, or None where there is none, its time is over, or Redis does not answer."""
        with harmless("Redis cache"):
            asked = athrough(self._breaker, told, self._client.get, self._prefix + key)
            return self._load(await asked)
        return None

    async def set(self, key: str, value: Any, ttl: float) -> None:
        """Keep `value` for `ttl` seconds, to the millisecond."""
        with harmless("Redis cache"):
            data, px = self._serializer.dumps(value), _milliseconds(ttl)
            await athrough(self._breaker, told, self._client.set, self._prefix + key, data, px=px)

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()
