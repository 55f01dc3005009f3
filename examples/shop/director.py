"""The director: plays the incident on the fleet, and the page that shows it.

What should be is applied again and again while the incident runs, so that a dependency that died
and was started again is as bad as it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.shop.assignment import DEPENDENCIES, SERVICES
from examples.shop.http import Json, make_application, problem, read_body
from examples.shop.incident import SCRIPT, Incident

_PAGE = Path(__file__).parent / "page"
_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
_SAFETY = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_LOCAL = {"127.0.0.1", "localhost"}


class Play(msgspec.Struct, forbid_unknown_fields=True):
    """How the incident is to be played: 2 is twice as fast as the script; none is the usual."""

    pace: float | None = None


class Director:
    """Plays `incident` on the processes at `peers` (base addresses by kind).

    `processes` tells what the supervisor knows about each process; `dashboard` is where the link
    on the page leads, if anywhere.
    """

    def __init__(
        self,
        peers: Mapping[str, list[str]],
        incident: Incident,
        processes: Callable[[], Iterable[Mapping[str, Any]]],
        dashboard: str = "",
    ) -> None:
        self.incident = incident
        self._peers = peers
        self._processes = processes
        # In a container it may be ws://…, which no browser can follow.
        self._dashboard = dashboard if dashboard.startswith("http") else ""
        self._client = httpx.AsyncClient(trust_env=False, timeout=2.0)
        self._changed = asyncio.Event()
        self._looking = asyncio.Lock()
        self._seen: tuple[float, dict[str, Any]] = (0.0, {})

    def app(self) -> Starlette:
        """Its HTTP server, open to this machine's own browser only."""
        return make_application(
            [
                *(Route(path, page_file) for path in _FILES),
                Route("/status", self.status),
                Route("/incident/start", self.start, methods=["POST"]),
                Route("/incident/stop", self.stop, methods=["POST"]),
            ],
            self._directing,
            [Middleware(BaseHTTPMiddleware, dispatch=local_only)],
        )

    async def start(self, request: Request) -> Response:
        """Start the incident; the body, if there is one, says at which pace."""
        body = await read_body(request)
        given = msgspec.json.decode(body, type=Play) if body else Play()
        try:
            self.incident.start(given.pace)
        except ValueError as error:
            return problem(400, str(error))
        self._changed.set()
        return Json(self._where())

    async def stop(self, request: Request) -> Response:
        """Stop the incident."""
        self.incident.stop()
        self._changed.set()
        return Json(self._where())

    async def status(self, request: Request) -> Response:
        """The incident, the dependencies, what users get, each breaker and each process."""
        async with self._looking:
            at, seen = self._seen
            if time.monotonic() - at > 0.5:
                seen = await self._look()
                self._seen = (time.monotonic(), seen)
        return Json(
            {"incident": self._where(), "dashboard": self._dashboard, **seen}, headers=_SAFETY
        )

    # -- Applying --------------------------------------------------------------------------------

    @asynccontextmanager
    async def _directing(self, app: Starlette) -> AsyncIterator[None]:
        async with self._client:
            playing = asyncio.create_task(self._play())
            yield
            playing.cancel()

    async def _play(self) -> None:
        while True:
            await self._apply()
            # At rest nothing is applied: a dependency's behaviour is then free to be set by hand.
            patience = 0.5 if self.incident.running else None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), patience)
            self._changed.clear()

    async def _apply(self) -> None:
        puts = [
            self._put(f"{base}/behaviour", behaviour)
            for kind, behaviour in self.incident.behaviours().items()
            for base in self._peers.get(kind, ())
        ]
        volume = {"factor": self.incident.volume}
        puts += [self._put(f"{base}/volume", volume) for base in self._peers.get("load", ())]
        await asyncio.gather(*puts)

    async def _put(self, url: str, content: Any) -> None:
        # A process that does not answer is being started again, and the next round reaches it.
        with contextlib.suppress(httpx.HTTPError):
            await self._client.put(url, content=msgspec.json.encode(content))

    # -- Looking ---------------------------------------------------------------------------------

    def _where(self) -> dict[str, Any]:
        incident = self.incident
        return {
            "running": incident.running,
            "elapsed_s": round(incident.elapsed_s, 1),
            "phase": incident.phase,
            "script": [{"at_s": p.at_s, "title": p.title, "story": p.story} for p in SCRIPT],
        }

    async def _look(self) -> dict[str, Any]:
        dependencies, services, load = await asyncio.gather(
            self._ask(DEPENDENCIES, "behaviour"),
            self._ask(SERVICES, "breakers"),
            self._ask(("load",), "stats"),
        )
        return {
            "dependencies": [found for _, found in dependencies if found],
            "breakers": merge(services),
            "load": load[0][1] if load else None,
            "processes": list(self._processes()),
        }

    async def _ask(self, kinds: Iterable[str], path: str) -> list[tuple[str, Any]]:
        asked = [(kind, base) for kind in kinds for base in self._peers.get(kind, ())]
        found = await asyncio.gather(*(self._get(f"{base}/{path}") for _, base in asked))
        return [(kind, one) for (kind, _), one in zip(asked, found, strict=True)]

    async def _get(self, url: str) -> Any:
        try:
            return (await self._client.get(url)).json()
        except (httpx.HTTPError, ValueError):
            return None


def merge(services: Iterable[tuple[str, Any]]) -> list[dict[str, Any]]:
    """The breakers of every instance as one line a service and breaker.

    >>> merge([("web", [{"name": "api", "state": "open"}]), ("web", None)])
    [{'service': 'web', 'name': 'api', 'states': {'open': 1}}]
    """
    lines: dict[tuple[str, str], dict[str, int]] = {}
    for service, breakers in services:
        for breaker in breakers or ():
            states = lines.setdefault((service, breaker["name"]), {})
            states[breaker["state"]] = states.get(breaker["state"], 0) + 1
    return [{"service": s, "name": n, "states": states} for (s, n), states in lines.items()]


async def local_only(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Serve this machine's own browser only; see `refuse_strangers`."""
    return refuse_strangers(request.headers) or await call_next(request)


def refuse_strangers(headers: Mapping[str, str]) -> Response | None:
    """Refuse other sites' pages, and names that only resolve to this machine (DNS rebinding)."""
    host = headers.get("host", "")
    if urlsplit(f"//{host}").hostname not in _LOCAL:
        return problem(403, "only this machine is served, by its name localhost or 127.0.0.1")
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return problem(403, "another site's page has no say here")
    return None


async def page_file(request: Request) -> Response:
    """A file of the page, read anew each time so that it can be edited."""
    name, content_type = _FILES[request.url.path]
    content = (_PAGE / name).read_bytes()
    return Response(content, headers=_SAFETY, media_type=content_type)
