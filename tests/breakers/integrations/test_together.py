"""A FastAPI service that calls another by httpx and keeps its answers in Redis: an outage of the
other, and its end, as the clients of the first see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI

from breakers import CallOptions, CircuitBreaker, ResilientCaller, State
from breakers.integrations.asgi import BreakerMiddleware
from breakers.integrations.httpx import AsyncResilientTransport
from breakers.integrations.redis_cache import AsyncRedisCache
from breakers.testing import FakeClock
from tests.breakers.integrations.service import Service
from tests.breakers.integrations.test_asgi import browser, served


def shop(posts: Service, redis_url: str, breaker: CircuitBreaker) -> FastAPI:
    plain = httpx.AsyncHTTPTransport(verify=False)
    transport = AsyncResilientTransport(plain, breaker=breaker, retries=2, retry_delay=0.01)
    fresh = CallOptions(
        timeout=None, retries=1, cache_key="posts", cache_ttl=0.01, stale_ttl=60, deadline=3.0
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with httpx.AsyncClient(transport=transport, base_url=posts.url) as client:
            cache = AsyncRedisCache.from_url(redis_url, serializer="json", namespace="together")
            app.state.client, app.state.caller = client, ResilientCaller(cache=cache)
            yield
            await cache.aclose()

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(BreakerMiddleware, deadline=5.0)

    async def fetch() -> str:
        response = await app.state.client.get("/posts")
        return str(response.raise_for_status().text)

    @app.get("/fine")
    async def fine() -> None: ...

    @app.get("/posts")
    async def list_posts() -> str:
        return await fetch()

    @app.get("/cached")
    async def list_cached() -> str:
        answer: str = await app.state.caller.acall(fetch, fresh)
        return answer

    return app


def test_an_outage_from_its_beginning_to_its_end(service: Service, redis_url: str) -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(
        failure_threshold=2, timeout_duration=30.0, open_jitter=0.0, clock=clock
    )
    with served(shop(service, redis_url, breaker)) as url, browser(url) as web:
        assert web.get("/cached").json() == "answer"

        service.answers(500, 500)
        assert web.get("/posts").status_code == 500, "both attempts failed, and opened it"
        asked = len(service.asked)
        refused = web.get("/posts")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
        assert web.get("/cached").json() == "answer", "the stale one: nobody may be asked"
        assert len(service.asked) == asked

        clock.advance(30.0)
        # Two probes succeed, one after the other, and close it.
        assert [web.get("/posts").status_code for _ in range(3)] == [200, 200, 200]
        assert len(service.asked) == asked + 3
        assert breaker.state is State.CLOSED
