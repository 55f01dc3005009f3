"""profile-api: the article's `get_user_profile`, asynchronous, with every call protected.

The three dependencies are asked side by side. Without the user there is no profile; without posts
or friends there is one that says what it lacks.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from breakers import (
    CallOptions,
    CallTimeout,
    CircuitBreaker,
    CircuitBreakerOpen,
    ResilientCaller,
    TTLCache,
    remaining,
)
from examples.shop.http import Json, make_application, problem
from examples.shop.watched import POLICY, breakers_now, watched

DEGRADED = "Shop-Degraded"


class Profile(msgspec.Struct):
    """A user's profile; `degraded` names the dependencies that are missing from it."""

    user: Any
    posts: list[Any]
    friend_count: int | None
    degraded: list[str]


class ProfileService:
    """Calls users-db, posts and social at `peers`, a list of base addresses each."""

    def __init__(self, peers: dict[str, list[str]], client: httpx.AsyncClient) -> None:
        self.unreachable: frozenset[str] = frozenset()
        self._client = client
        self._caller = ResilientCaller(cache=TTLCache(max_entries=2_000))
        self._bases = {kind: itertools.cycle(bases) for kind, bases in peers.items()}
        self._users = CallOptions(
            timeout=1.0,
            retries=2,
            retry_delay=0.05,
            deadline=2.0,
            circuit_breaker=CircuitBreaker(name="users-db", **POLICY),
        )
        self._posts = CallOptions(
            timeout=0.5,
            retries=2,
            retry_delay=0.05,
            cache_ttl=0.5,
            circuit_breaker=CircuitBreaker(name="posts", **POLICY),
        )
        self._social = CallOptions(
            timeout=0.5, retries=1, circuit_breaker=CircuitBreaker(name="social", **POLICY)
        )

    async def get_user_profile(self, user_id: int) -> Profile:
        """The profile, whole or degraded.

        Raises:
            CircuitBreakerOpen, CallTimeout, httpx.HTTPError, ValueError: there is no user.
        """
        degraded: list[str] = []
        user, posts, social = await asyncio.gather(
            self._call("users-db", user_id, self._users),
            self._call(
                "posts",
                user_id,
                replace(
                    self._posts,
                    cache_key=f"posts:{user_id}",
                    fallback=_without("posts", [], degraded),
                ),
            ),
            self._call(
                "social",
                user_id,
                replace(self._social, fallback=_without("social", None, degraded)),
            ),
        )
        return Profile(user, posts, social["friends"] if social else None, degraded)

    async def _call(self, kind: str, user_id: int, options: CallOptions) -> Any:
        return await self._caller.acall(self._fetch, options, kind, user_id)

    async def _fetch(self, kind: str, user_id: int) -> Any:
        """One attempt. The client gets the time that is left, so that it gives up when we do."""
        left = remaining()
        if kind in self.unreachable:
            raise httpx.ConnectError(f"{kind} is unreachable from this instance")
        try:
            answer = await self._client.get(f"{next(self._bases[kind])}/{user_id}", timeout=left)
        except httpx.TimeoutException as error:
            raise CallTimeout(left) from error
        answer.raise_for_status()
        return answer.json()


def _without(kind: str, instead: Any, degraded: list[str]) -> Callable[..., Any]:
    """A fallback that answers `instead` and notes what is missing."""

    def fallback(*args: Any) -> Any:
        degraded.append(kind)
        return instead

    return fallback


def make_app(peers: dict[str, list[str]]) -> Starlette:
    """The HTTP server: `/profile/<id>`, `/healthz`, `/breakers` to look inside, and `/unreachable`,
    which cuts this instance alone off from dependencies."""
    client = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=200))
    service = ProfileService(peers, client)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        with watched("profile-api"):
            async with client:
                yield

    async def profile(request: Request) -> Response:
        try:
            found = await service.get_user_profile(request.path_params["user_id"])
        except (CircuitBreakerOpen, CallTimeout, httpx.HTTPError, ValueError) as error:
            return unavailable(error)
        return Json(found, headers=degraded_header(found.degraded))

    async def breakers(request: Request) -> Response:
        return Json(breakers_now())

    async def cut_off(request: Request) -> Response:
        service.unreachable = frozenset(msgspec.json.decode(await request.body(), type=set[str]))
        return Json(sorted(service.unreachable))

    async def pid(request: Request) -> Response:
        return Json(os.getpid())

    routes = [
        Route("/profile/{user_id:user}", profile),
        Route("/breakers", breakers),
        Route("/pid", pid),
        Route("/unreachable", cut_off, methods=["PUT"]),
    ]
    return make_application(routes, lifespan)


def degraded_header(degraded: list[str]) -> dict[str, str]:
    """The header that names what an answer lacks.

    >>> degraded_header(["posts", "social"]), degraded_header([])
    ({'Shop-Degraded': 'posts, social'}, {})
    """
    return {DEGRADED: ", ".join(degraded)} if degraded else {}


def unavailable(error: Exception) -> Response:
    """503, and when to come back: when the breaker lets a probe pass, if it knows."""
    after = error.retry_after_s if isinstance(error, CircuitBreakerOpen) else None
    message = str(error) or type(error).__name__
    return problem(503, message, {"Retry-After": str(math.ceil(after or 1.0))})
