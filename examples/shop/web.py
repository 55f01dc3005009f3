"""web: the front, synchronous: each request is served by a thread.

Its one dependency is profile-api. When too many of its answers are 503, web's own breaker opens,
and the failure of a database far behind shows as a cascade.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from breakers import (
    CallOptions,
    CallTimeout,
    CircuitBreaker,
    CircuitBreakerOpen,
    ResilientCaller,
    remaining,
)
from examples.shop.http import Json, make_application
from examples.shop.profile_api import degraded_header, unavailable
from examples.shop.watched import POLICY, breakers_now, watched

MAX_THREADS = 200
_PAGE = """<!doctype html><html lang="en"><title>{name}</title>
<h1>{name}</h1><p>{friends}</p><ul>{posts}</ul></html>"""


class Front:
    """Fetches profiles from any of `bases` in turn and renders them."""

    def __init__(self, bases: list[str]) -> None:
        self._bases = itertools.cycle(bases)
        self._client = httpx.Client(trust_env=False, limits=httpx.Limits(max_connections=200))
        self._caller = ResilientCaller()
        self._options = CallOptions(
            timeout=3.0, retries=1, circuit_breaker=CircuitBreaker(name="profile-api", **POLICY)
        )

    def profile(self, user_id: int) -> dict[str, Any]:
        """The profile as profile-api gives it.

        Raises:
            CircuitBreakerOpen, CallTimeout, httpx.HTTPError, ValueError: there is none now.
        """
        return self._caller.call(self._fetch, self._options, user_id)

    def _fetch(self, user_id: int) -> dict[str, Any]:
        left = remaining()
        try:
            answer = self._client.get(f"{next(self._bases)}/profile/{user_id}", timeout=left)
        except httpx.TimeoutException as error:
            raise CallTimeout(left) from error
        answer.raise_for_status()
        profile: dict[str, Any] = answer.json()
        return profile


def render(profile: Mapping[str, Any]) -> str:
    """A tiny page of a profile, whole or degraded.

    >>> print(render({"user": {"name": "A<da"}, "posts": [], "friend_count": None}))
    <!doctype html><html lang="en"><title>A&lt;da</title>
    <h1>A&lt;da</h1><p>? friends</p><ul></ul></html>
    """
    friends = profile["friend_count"]
    return _PAGE.format(
        name=html.escape(profile["user"]["name"]),
        friends="? friends" if friends is None else f"{friends} friends",
        posts="".join(f"<li>{html.escape(post['title'])}</li>" for post in profile["posts"]),
    )


def make_app(bases: list[str]) -> Starlette:
    """The HTTP server. Its handlers are plain functions, which Starlette runs in threads."""
    front = Front(bases)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = MAX_THREADS
        with watched("web"):
            yield

    def profile(request: Request) -> Response:
        try:
            found = front.profile(request.path_params["user_id"])
        except (CircuitBreakerOpen, CallTimeout, httpx.HTTPError, ValueError) as error:
            return unavailable(error)
        return HTMLResponse(render(found), headers=degraded_header(found["degraded"]))

    def breakers(request: Request) -> Response:
        return Json(breakers_now())

    routes = [Route("/profile/{user_id:user}", profile), Route("/breakers", breakers)]
    return make_application(routes, lifespan)
