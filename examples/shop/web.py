"""web: the front, synchronous and threaded, on the standard library's server.

Its one dependency is profile-api. When too many of its answers are 503, web's own breaker opens,
and the failure of a database far behind shows as a cascade.
"""

from __future__ import annotations

import html
import itertools
import logging
import math
import re
import socket
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import msgspec

from breakers import (
    CallOptions,
    CallTimeout,
    CircuitBreaker,
    CircuitBreakerOpen,
    ResilientCaller,
    remaining,
)
from examples.shop.profile_api import degraded_header
from examples.shop.watched import POLICY, breakers_now, watched

logger = logging.getLogger(__name__)
_PROFILE = re.compile(r"/profile/(\d{1,9})")
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


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    # Header and body leave in one segment; in two, Nagle's algorithm would add 40 ms.
    wbufsize = -1
    server: _Server

    def do_GET(self) -> None:
        if match := _PROFILE.fullmatch(self.path):
            self._profile(int(match[1]))
        elif self.path == "/healthz":
            self._answer(200, b'{"status": "ok"}')
        elif self.path == "/breakers":
            self._answer(200, msgspec.json.encode(breakers_now()))
        else:
            self._answer(404, b'{"error": "there is nothing here"}')

    def _profile(self, user_id: int) -> None:
        try:
            profile = self.server.front.profile(user_id)
        except (CircuitBreakerOpen, CallTimeout, httpx.HTTPError, ValueError) as error:
            after = error.retry_after_s if isinstance(error, CircuitBreakerOpen) else None
            body = msgspec.json.encode({"error": str(error) or type(error).__name__})
            self._answer(503, body, {"Retry-After": str(math.ceil(after or 1.0))})
            return
        page = render(profile).encode()
        degraded = degraded_header(profile["degraded"])
        self._answer(200, page, degraded, "text/html; charset=utf-8")

    def _answer(
        self,
        status: int,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: sixty lines a second help nobody."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, listening: socket.socket, front: Front) -> None:
        super().__init__(listening.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.front = front

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong, unless it is only that the client has gone."""
        if not isinstance(sys.exception(), ConnectionError):
            logger.exception("a request failed")


def serve(listening: socket.socket, bases: list[str]) -> None:
    """Serve on a socket that listens already, until the process is told to end."""
    with watched("web"), _Server(listening, Front(bases)) as server:
        server.serve_forever(poll_interval=0.2)
