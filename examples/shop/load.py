"""The users: a steady stream of requests to web and profile-api.

The stream is an open loop, as real users are: it does not slow down because answers do. Only so
many requests are in flight at once; what would be beyond that is counted as dropped.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import msgspec
from msgspec import Meta
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.shop.http import Json, make_application, read_body
from examples.shop.profile_api import DEGRADED

USERS = 600
_MAX_IN_FLIGHT = 250
_KEPT_S = 60


class Volume(msgspec.Struct, forbid_unknown_fields=True):
    """How much more, or less, than the usual load: 1.4 is 40 % more."""

    factor: Annotated[float, Meta(ge=0, le=10)]


class Second(msgspec.Struct):
    """What users got during one second of the monotonic clock."""

    at: int
    whole: int = 0
    degraded: int = 0
    unavailable: int = 0
    failed: int = 0
    dropped: int = 0
    slowest_ms: float = 0.0


class Load:
    """Asks the `targets` (base addresses) in turn for profiles, `rate` times a second in all."""

    def __init__(self, targets: list[str], rate: float) -> None:
        self.rate = rate
        self.volume = Volume(1.0)
        self._targets = itertools.cycle(targets)
        self._seconds: deque[Second] = deque(maxlen=_KEPT_S)
        self._tasks: set[asyncio.Task[None]] = set()
        self._client = httpx.AsyncClient(
            trust_env=False,
            timeout=8.0,
            limits=httpx.Limits(max_connections=_MAX_IN_FLIGHT, max_keepalive_connections=50),
        )

    def app(self) -> Starlette:
        """Its HTTP server: `GET /stats`, and `PUT /volume`."""
        routes = [Route("/stats", self.stats), Route("/volume", self.set_volume, methods=["PUT"])]
        return make_application(routes, self._running)

    async def stats(self, request: Request) -> Response:
        """What users got in each of the last 59 full seconds, the oldest first."""
        now = int(time.monotonic())
        kept = {second.at: second for second in self._seconds}
        window = range(now - _KEPT_S + 1, now)
        return Json(
            {
                "volume": self.volume.factor,
                "rate": self.rate * self.volume.factor,
                "in_flight": len(self._tasks),
                "seconds": [kept.get(at, Second(at)) for at in window],
            }
        )

    async def set_volume(self, request: Request) -> Response:
        """Take over the volume in the body."""
        self.volume = msgspec.json.decode(await read_body(request), type=Volume)
        return Json(self.volume)

    @asynccontextmanager
    async def _running(self, app: Starlette) -> AsyncIterator[None]:
        arrivals = asyncio.create_task(self._arrive())
        async with self._client:
            yield
            arrivals.cancel()
            for task in self._tasks:
                task.cancel()

    async def _arrive(self) -> None:
        """Poisson arrivals: the gaps are exponential."""
        due = time.monotonic()
        while True:
            due += random.expovariate(1.0) / max(self.rate * self.volume.factor, 0.1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if len(self._tasks) >= _MAX_IN_FLIGHT:
                self._second().dropped += 1
                continue
            task = asyncio.create_task(self._visit(next(self._targets)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _visit(self, base: str) -> None:
        # Some users are asked for far more often than others, so that a cache has something to do.
        user_id = 1 + int(USERS * random.random() ** 2)
        start = time.monotonic()
        try:
            answer = await self._client.get(f"{base}/profile/{user_id}")
        except httpx.HTTPError:
            self._second().failed += 1
            return
        second = self._second()
        if answer.status_code == 503:
            second.unavailable += 1
        elif answer.status_code != 200:
            second.failed += 1
        elif answer.headers.get(DEGRADED):
            second.degraded += 1
        else:
            second.whole += 1
        elapsed_ms = (time.monotonic() - start) * 1000
        second.slowest_ms = max(second.slowest_ms, round(elapsed_ms, 1))

    def _second(self) -> Second:
        now = int(time.monotonic())
        if not self._seconds or self._seconds[-1].at != now:
            self._seconds.append(Second(now))
        return self._seconds[-1]
