"""Real servers for the integrations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import requests

from breakers import CircuitBreaker, Registry
from breakers.integrations.httpx import AsyncResilientTransport, ResilientTransport
from breakers.integrations.per_host import PerHost
from breakers.integrations.requests import ResilientAdapter
from tests.breakers.integrations.service import Service, http_service
from tests.servers import postgres_server, redis_server


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres_server(tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.fixture
def service() -> Iterator[Service]:
    with http_service() as running:
        yield running


class _Kept:
    """One face of three clients: a call asks, `streamed` reads a body byte by byte.

    Pauses are noted, not slept; breakers are the test's own.
    """

    def __init__(self, **settings: Any) -> None:
        self.slept: list[float] = []
        self.registry = Registry()
        self.settings: dict[str, Any] = {
            "breaker": PerHost(registry=self.registry, failure_threshold=3),
            "sleep": self.slept.append,
            "asleep": self._asleep,
            "random": lambda: 1.0,
            **settings,
        }

    async def _asleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Httpx(_Kept):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # Nothing is encrypted here, and reading the authorities takes longer than the tests.
        plain = self.settings.pop("transport", None) or httpx.HTTPTransport(verify=False)
        self.client = httpx.Client(
            transport=ResilientTransport(plain, **self.settings), timeout=5.0, trust_env=False
        )

    def __call__(self, method: str, url: str, **request: Any) -> Any:
        return self.client.request(method, url, **request)

    def streamed(self, url: str, chunks: int | None = None) -> bytes:
        with self.client.stream("GET", url) as response:
            parts = response.iter_bytes(1)
            return b"".join(parts if chunks is None else [next(parts) for _ in range(chunks)])


class AsyncHttpx(_Kept):
    """A loop and a client for each call, which share one transport's settings."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.loop = asyncio.new_event_loop()
        plain = self.settings.pop("transport", None) or httpx.AsyncHTTPTransport(verify=False)
        self.client = httpx.AsyncClient(
            transport=AsyncResilientTransport(plain, **self.settings), timeout=5.0, trust_env=False
        )

    def __call__(self, method: str, url: str, **request: Any) -> Any:
        return self.loop.run_until_complete(self.client.request(method, url, **request))

    def streamed(self, url: str, chunks: int | None = None) -> bytes:
        async def read() -> bytes:
            async with self.client.stream("GET", url) as response:
                parts = response.aiter_bytes(1)
                if chunks is None:
                    return b"".join([part async for part in parts])
                return b"".join([await anext(parts) for _ in range(chunks)])

        return self.loop.run_until_complete(read())


class Requests(_Kept):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.mount("http://", ResilientAdapter(**self.settings))

    def __call__(self, method: str, url: str, content: Any = None, **request: Any) -> Any:
        return self.session.request(method, url, data=content, **{"timeout": 5.0, **request})

    def streamed(self, url: str, chunks: int | None = None) -> bytes:
        with self.session.get(url, stream=True, timeout=5.0) as response:
            parts = response.iter_content(1)
            return b"".join(parts if chunks is None else [next(parts) for _ in range(chunks)])


MakeClient = Callable[..., Any]


@pytest.fixture(params=[Httpx, AsyncHttpx, Requests], ids=["httpx", "async-httpx", "requests"])
def make_client(request: pytest.FixtureRequest) -> Iterator[MakeClient]:
    made: list[Any] = []

    def make(**settings: Any) -> Any:
        made.append(request.param(**settings))
        return made[-1]

    yield make
    for each in made:
        if isinstance(each, AsyncHttpx):
            each.loop.run_until_complete(each.client.aclose())
            each.loop.close()
        elif isinstance(each, Httpx):
            each.client.close()
        else:
            each.session.close()


@pytest.fixture
def client(make_client: MakeClient) -> Any:
    return make_client()


def counts(breaker: CircuitBreaker | None) -> dict[str, int]:
    """What a breaker has counted, without what it has not; and what is in flight."""
    assert breaker is not None
    shot = breaker.snapshot()
    told = {name: n for name, n in shot.counts.items() if n}
    return told | ({"in flight": shot.in_flight} if shot.in_flight else {})
