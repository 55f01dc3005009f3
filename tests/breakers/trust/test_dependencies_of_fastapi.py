"""Left in another context: FastAPI's sync dependencies with `yield`, and deadlines around them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from breakers import AdaptiveLimit, Bulkhead, CircuitBreaker, RateLimiter, timeout
from breakers.limits.slots import Slots


@pytest.mark.parametrize("make", [lambda: AdaptiveLimit(3), lambda: Bulkhead(3)])
def test_a_limit_in_a_dependency_is_given_back(make: type[Slots]) -> None:
    limit, app = make(), FastAPI()  # type: ignore[call-arg]

    def slot() -> Iterator[None]:
        with limit:
            yield

    @app.get("/", dependencies=[Depends(slot)])
    def answer() -> str:
        return "ok"

    client = TestClient(app, raise_server_exceptions=False)
    assert [client.get("/").status_code for _ in range(8)] == [200] * 8
    assert limit.in_flight == 0


def test_a_breaker_in_a_dependency_sees_the_endpoints_errors() -> None:
    breaker, app = CircuitBreaker(2, registry=None), FastAPI()

    def guarded() -> Iterator[None]:
        with breaker:
            yield

    @app.get("/", dependencies=[Depends(guarded)])
    def answer() -> str:
        raise OSError("database down")

    client = TestClient(app, raise_server_exceptions=False)
    assert [client.get("/").status_code for _ in range(3)] == [500] * 3
    shot = breaker.snapshot()
    assert (shot.state, shot.counts["failure"], shot.in_flight) == ("open", 2, 0)


def test_a_timeout_and_a_rate_limit_in_one_are_left() -> None:
    limiter, app = RateLimiter(100), FastAPI()

    def bounded() -> Iterator[None]:
        with limiter, timeout(30.0):
            yield

    @app.get("/", dependencies=[Depends(bounded)])
    def answer() -> str:
        return "ok"

    client = TestClient(app, raise_server_exceptions=False)
    assert [client.get("/").status_code for _ in range(4)] == [200] * 4
