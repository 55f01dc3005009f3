"""The endpoint with Switchgear: each call bounded, checked, guarded, and with something to fall
back on."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import httpx

from breakers import (
    Bulkhead,
    CallOptions,
    CallTimeout,
    CircuitBreaker,
    Fallback,
    ResilientCaller,
    TTLCache,
    remaining,
)
from breakers.deadline import bounded
from breakers.integrations.redis_cache import AsyncRedisCache
from tests.failure_modes.config import Config

POLICY: Final[dict[str, Any]] = {
    "failure_threshold": 5,
    "timeout_duration": 0.8,
    "success_threshold": 1,
    "half_open_lease": 1.0,
    "failure_rate_threshold": 0.6,
    "window_type": "time",
    "window_size": 5,
    "minimum_calls": 10,
}
LARGEST_BODY: Final = 64 * 1024
ATTEMPT_S: Final = 0.35


class WrongAnswer(ValueError):
    """An answer that came with 200 and is not about what was asked."""


def is_user(user_id: int, body: Any) -> bool:
    return isinstance(body, dict) and body.get("id") == user_id and "name" in body


def is_posts(user_id: int, body: Any) -> bool:
    return isinstance(body, list) and all(
        isinstance(each, dict) and each.get("author") == user_id for each in body
    )


def is_social(user_id: int, body: Any) -> bool:
    return (
        isinstance(body, dict)
        and body.get("user") == user_id
        and isinstance(body.get("friends"), int)
    )


CHECKS: Final[dict[str, Callable[[int, Any], bool]]] = {
    "users": is_user,
    "posts": is_posts,
    "social": is_social,
    "store": is_social,
}


class TwoLayers:
    """Redis, and under it this process's memory, which also outlives a bad Redis."""

    def __init__(self, config: Config) -> None:
        self.shared = AsyncRedisCache.from_url(
            f"redis://127.0.0.1:{config.redis}",
            serializer="json",
            namespace=f"{config.prefix}:ours",
            timeout=0.1,
        )
        self.own = TTLCache(max_entries=2_000)

    async def get(self, key: str) -> Any:
        own = self.own.get(key)
        if own is not None:
            return own
        found = await self.shared.get(key)
        kind, _, rest = key.partition(":")
        if found is None or CHECKS[kind](int(rest.partition(":")[0]), found):
            return found
        return None

    async def set(self, key: str, value: Any, ttl: float) -> None:
        self.own.set(key, value, ttl)
        await self.shared.set(key, value, ttl)


class OurProfiles:
    """The three calls side by side, under the caller's deadline."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.caller = ResilientCaller(cache=TwoLayers(config))
        self.context = ssl.create_default_context(cafile=config.ca) if config.ca else False
        self.open_clients()
        self.turns = {kind: itertools.cycle(bases) for kind, bases in config.peers.items()}
        self.versions: OrderedDict[int, int] = OrderedDict()
        ttl = config.ttl_ms / 1000
        base = CallOptions(
            timeout=ATTEMPT_S,
            retries=2,
            retry_delay=0.02,
            deadline=0.85,
            cache_ttl=ttl,
            stale_ttl=60.0,
        )
        self.options = {
            kind: replace(
                base,
                circuit_breaker=CircuitBreaker(name=kind, **POLICY),
                bulkhead=Bulkhead(size, max_wait=0.1),
            )
            for kind, size in (("users", 30), ("posts", 10), ("social", 10))
        }
        self.store = CallOptions(
            timeout=0.15, retries=1, circuit_breaker=CircuitBreaker(name="store", **POLICY)
        )

    def open_clients(self) -> None:
        """Open the connection pools; each process and each event loop needs its own."""
        self.clients = {
            kind: httpx.AsyncClient(
                trust_env=False, verify=self.context, limits=httpx.Limits(max_connections=40)
            )
            for kind in self.config.peers
        }

    async def get_user_profile(
        self, user_id: int, deadline_s: float | None = None
    ) -> dict[str, Any]:
        degraded: list[str] = []

        def without(kind: str, instead: Any) -> Callable[..., Any]:
            def fallback(*args: Any) -> Any:
                degraded.append(kind)
                return instead

            return fallback

        with bounded(deadline_s):
            user, posts, social = await asyncio.gather(
                self.call("users", user_id),
                self.call("posts", user_id, without("posts", [])),
                self.call("social", user_id, self.secondary, without("social", None)),
            )
        friends = social["friends"] if social else None
        return {"user": user, "posts": posts, "friend_count": friends, "degraded": degraded}

    async def call(self, kind: str, user_id: int, *fallbacks: Callable[..., Any]) -> Any:
        chain = tuple(Fallback(each) for each in fallbacks)
        options = replace(self.options[kind], cache_key=f"{kind}:{user_id}", fallback=chain or None)
        return await self.caller.acall(self.fetch, options, kind, user_id)

    async def secondary(self, kind: str, user_id: int) -> Any:
        return await self.caller.acall(self.fetch, self.store, "store", user_id)

    async def fetch(self, kind: str, user_id: int) -> Any:
        left = remaining(ATTEMPT_S)
        url = f"{next(self.turns[kind])}/{user_id}"
        parts, size = [], 0
        try:
            async with self.clients[kind].stream("GET", url, timeout=left) as answer:
                answer.raise_for_status()
                async for part in answer.aiter_bytes():
                    size += len(part)
                    if size > LARGEST_BODY:
                        raise WrongAnswer(f"more than {LARGEST_BODY} bytes")
                    parts.append(part)
        except httpx.TimeoutException as error:
            raise CallTimeout(left) from error
        return self.checked(kind, user_id, json.loads(b"".join(parts)))

    def checked(self, kind: str, user_id: int, body: Any) -> Any:
        if not CHECKS[kind](user_id, body):
            raise WrongAnswer(f"{kind} answered about something else")
        if kind == "users":
            version = int(body.get("version", 0))
            if version < self.versions.get(user_id, 0):
                raise WrongAnswer(f"version {version} is older than one seen before")
            self.versions[user_id] = version
            self.versions.move_to_end(user_id)
            if len(self.versions) > 10_000:
                self.versions.popitem(last=False)
        return body
