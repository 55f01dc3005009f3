"""A cache in Redis for `ResilientCaller(cache=…)`. A Redis that is down is a cache miss.

caller = ResilientCaller(cache=RedisCache.from_url(url, serializer="json"))
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from breakers.calls.backends import swallow_errors
from breakers.circuit.breaker import CircuitBreaker
from breakers.errors import PolicyError
from breakers.integrations.missing_extra import missing_extra
from breakers.integrations.permits import guarded_acall, guarded_call
from breakers.integrations.redis import outcome_of

try:
    import redis.asyncio
    from redis.asyncio.retry import Retry as AsyncRetry
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as ConnectionLost
    from redis.retry import Retry
except ImportError as error:
    raise missing_extra("redis", error) from error

__all__ = ["AsyncRedisCache", "RedisCache", "Serializer"]

SOCKET_TIMEOUT_S: Final = 0.25


class Serializer(NamedTuple):
    """A pair of functions that convert a value to bytes and back."""

    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]


SERIALIZERS: Final = {
    "json": Serializer(lambda value: json.dumps(value, separators=(",", ":")).encode(), json.loads),
    "pickle": Serializer(lambda value: pickle.dumps(value, 5), pickle.loads),
}
Serializers = Literal["json", "pickle"] | Serializer


class _Base:
    """Shared by both caches: keys, serialization and a breaker around Redis."""

    def __init__(self, serializer: Serializers, namespace: str) -> None:
        found = SERIALIZERS.get(serializer) if isinstance(serializer, str) else serializer
        if not isinstance(found, Serializer):
            raise PolicyError("serializer", serializer, "json, pickle, or a Serializer")
        if not namespace:
            raise PolicyError(
                "namespace", namespace, "a non-empty string that is unique in this Redis"
            )
        self._serializer, self._prefix = found, f"{namespace}:"
        self._breaker = CircuitBreaker(failure_threshold=3, timeout_duration=5.0, registry=None)

    def _load(self, stored: Any) -> Any:
        return None if stored is None else self._serializer.loads(stored)


def _milliseconds(ttl: float) -> int:
    return max(1, round(ttl * 1000))


class RedisCache(_Base):
    """Stores values under `namespace:key`.

    While Redis fails, `get` returns None and `set` does nothing, with a log message once a minute.
    After three failures in a row no command is sent for five seconds.

    Args:
        client: a `redis.Redis` that returns bytes. `from_url` makes one with short timeouts.
        serializer: `json`, which turns tuples into lists and keys into strings; `pickle`, which
            keeps all types, but unpickling runs code: use it only if nobody else can write to
            this Redis; or your own `Serializer`.
        namespace: the prefix of all keys.

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
        """A cache with its own client, which waits at most `timeout` seconds for Redis, or twice
        that when an idle connection is dead."""
        client = redis.Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionLost,)),
        )
        return cls(client, serializer=serializer, namespace=namespace)

    def get(self, key: str) -> Any:
        """The value, or None if it is missing or expired, or Redis fails."""
        with swallow_errors("Redis cache"):
            return self._load(
                guarded_call(self._breaker, outcome_of, self._client.get, self._prefix + key)
            )
        return None

    def set(self, key: str, value: Any, ttl: float) -> None:
        """Store `value` for `ttl` seconds, with millisecond precision."""
        with swallow_errors("Redis cache"):
            data, px = self._serializer.dumps(value), _milliseconds(ttl)
            guarded_call(
                self._breaker, outcome_of, self._client.set, self._prefix + key, data, px=px
            )

    def close(self) -> None:
        """Close the client."""
        self._client.close()


class AsyncRedisCache(_Base):
    """`RedisCache` over `redis.asyncio`, for `acall`. Use one per event loop, like its client."""

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
        """The value, or None if it is missing or expired, or Redis fails."""
        with swallow_errors("Redis cache"):
            asked = guarded_acall(self._breaker, outcome_of, self._client.get, self._prefix + key)
            return self._load(await asked)
        return None

    async def set(self, key: str, value: Any, ttl: float) -> None:
        """Store `value` for `ttl` seconds, with millisecond precision."""
        with swallow_errors("Redis cache"):
            data, px = self._serializer.dumps(value), _milliseconds(ttl)
            await guarded_acall(
                self._breaker, outcome_of, self._client.set, self._prefix + key, data, px=px
            )

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()
