"""A block is counted and its permit returned, whatever thread, task or context leaves it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from breakers import AdaptiveLimit, Bulkhead, CircuitBreaker, State

MAKERS: list[Callable[[], Any]] = [
    lambda: CircuitBreaker(registry=None),
    lambda: AdaptiveLimit(20),
    lambda: Bulkhead(20),
]


def held(thing: Any) -> int:
    return thing.snapshot().in_flight if isinstance(thing, CircuitBreaker) else thing.in_flight


@pytest.mark.parametrize("make", MAKERS)
def test_entered_and_left_in_two_copies_of_the_context(make: Callable[[], Any]) -> None:
    thing = make()
    contextvars.copy_context().run(thing.__enter__)
    assert held(thing) == 1
    contextvars.copy_context().run(thing.__exit__, None, None, None)
    assert held(thing) == 0


@pytest.mark.parametrize("make", MAKERS)
def test_left_by_another_thread(make: Callable[[], Any]) -> None:
    thing = make()

    def block() -> Iterator[int]:
        with thing:
            yield 1

    running = block()
    next(running)
    other = threading.Thread(target=running.close)  # type: ignore[attr-defined]
    other.start()
    other.join(5)
    assert held(thing) == 0


@pytest.mark.parametrize("make", MAKERS)
async def test_an_async_generator_closed_by_another_task(make: Callable[[], Any]) -> None:
    thing = make()

    async def stream() -> AsyncIterator[int]:
        async with thing:
            yield 1
            yield 2

    running: Any = stream()
    await anext(running)
    await asyncio.create_task(running.aclose(), context=contextvars.Context())
    assert held(thing) == 0


def test_concurrent_blocks_stay_apart() -> None:
    breaker = CircuitBreaker(10, registry=None)

    def block() -> Iterator[None]:
        with breaker:
            yield

    first, second = block(), block()
    next(first), next(second)
    with pytest.raises(KeyError):
        first.throw(KeyError())  # type: ignore[attr-defined]
    with pytest.raises(StopIteration):
        next(second)
    shot = breaker.snapshot()
    assert (shot.counts["failure"], shot.counts["success"], shot.in_flight) == (1, 1, 0)


def test_an_exit_stack_and_a_context_manager_function_leave_what_they_entered() -> None:
    breaker, limit = CircuitBreaker(registry=None), AdaptiveLimit(5)

    @contextmanager
    def both() -> Iterator[None]:
        with limit, breaker:
            yield

    with ExitStack() as stack:
        stack.enter_context(breaker)
        stack.enter_context(both())
        stack.enter_context(limit)
    assert (held(breaker), held(limit)) == (0, 0)


def test_what_is_not_entered_cannot_be_left() -> None:
    with pytest.raises(RuntimeError, match="not entered"):
        CircuitBreaker(registry=None).__exit__(None, None, None)


def test_fastapis_dependencies() -> None:
    limit, db = AdaptiveLimit(3), CircuitBreaker(1, registry=None)
    app = FastAPI()

    def slot() -> Iterator[None]:
        with limit:
            yield

    def guarded() -> Iterator[None]:
        with db:
            yield

    @app.get("/a")
    def a(_: None = Depends(slot)) -> str:
        return "ok"

    @app.get("/b")
    def b(_: None = Depends(guarded)) -> str:
        raise OSError("database down")

    client = TestClient(app, raise_server_exceptions=False)
    assert [client.get("/a").status_code for _ in range(8)] == [200] * 8
    client.get("/b")
    shot = db.snapshot()
    assert (shot.state, shot.counts["failure"], shot.in_flight) == (State.OPEN, 1, 0)
    assert limit.in_flight == 0
