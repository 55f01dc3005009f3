"""Garbage of our own making: a failed call leaves no reference cycle behind.

Each test switches the collector off and looks whether the callee's frame is freed at once.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import traceback
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from breakers import (
    Bulkhead,
    CallOptions,
    CircuitBreaker,
    ResilientCaller,
    TTLCache,
    agather,
    gather,
    hedged,
    resilient,
)

WAITERS = 40
plain, kept = ResilientCaller(), ResilientCaller(TTLCache())
lenient = CircuitBreaker(None, registry=None)
mapping = CircuitBreaker(None, registry=None, map_errors={ValueError: KeyError})


class Body(bytearray):
    """What the callee holds. Only a subclass can be referred to weakly."""


bodies: list[weakref.ref[Body]] = []


def fail() -> None:
    body = Body(8)
    bodies.append(weakref.ref(body))
    raise ValueError


async def afail() -> None:
    fail()


def items() -> Iterator[int]:
    yield 1
    fail()


async def aitems() -> AsyncIterator[int]:
    yield 1
    fail()


async def read(made: AsyncIterator[int]) -> None:
    async for _ in made:
        pass


def made(**fields: Any) -> CallOptions:
    return CallOptions(**{"timeout": None, "retries": 1, "retry_delay": 0.0, **fields})


SYNC: dict[str, Callable[[], object]] = {
    "call": lambda: plain.call(fail, made()),
    "retries": lambda: plain.call(fail, made(retries=3)),
    "alarm": lambda: plain.call(fail, made(timeout=5.0)),
    "thread": lambda: plain.call(fail, made(timeout=5.0, strategy="thread")),
    "cooperative": lambda: plain.call(fail, made(timeout=5.0, strategy="cooperative")),
    "breaker": lambda: plain.call(fail, made(circuit_breaker=lenient)),
    "map_errors": lambda: plain.call(fail, made(map_errors={ValueError: KeyError})),
    "breaker's map_errors": lambda: mapping.call(fail),
    "single flight": lambda: kept.call(fail, made(cache_key="sync")),
    "negative cache": lambda: kept.call(fail, made(cache_key="no", negative_on=(ValueError,))),
    "guards": lambda: plain.call(fail, made(deadline=5.0, bulkhead=Bulkhead(2))),
    "hooks": lambda: plain.call(fail, made(on_call=print, on_attempt=lambda record: None)),
    "fallbacks": lambda: plain.call(fail, made(fallback=[fail, lambda: {}["x"]])),
    "generator": lambda: list(resilient(made())(items)()),
    "breaker's generator": lambda: list(lenient(items)()),
    "gather": lambda: gather({"one": fail}),
}
ASYNC: dict[str, Callable[[], Any]] = {
    "call": lambda: plain.acall(afail, made()),
    "retries": lambda: plain.acall(afail, made(retries=3)),
    "timeout": lambda: plain.acall(afail, made(timeout=5.0)),
    "breaker": lambda: plain.acall(afail, made(circuit_breaker=lenient)),
    "map_errors": lambda: plain.acall(afail, made(map_errors={ValueError: KeyError})),
    "single flight": lambda: kept.acall(afail, made(cache_key="async")),
    "guards": lambda: plain.acall(afail, made(deadline=5.0, bulkhead=Bulkhead(2))),
    "fallbacks": lambda: plain.acall(afail, made(fallback=[afail, lambda: {}["x"]])),
    "hedging": lambda: plain.acall(afail, made(hedge_delay=0.01)),
    "hedged": lambda: hedged(0.01, 3, afail),
    "generator": lambda: read(resilient(made())(aitems)()),
    "coroutine of a plain call": lambda: lenient.call(afail),
    "agather": lambda: agather({"one": afail}),
    "agather in time": lambda: agather({"one": afail}, timeout=5.0),
}


@pytest.fixture(autouse=True)
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    bodies.clear()
    yield
    gc.enable()


def alive() -> int:
    return sum(body() is not None for body in bodies)


@pytest.mark.parametrize("way", SYNC)
def test_a_failed_call_frees_the_callees_frame(way: str) -> None:
    for _ in range(3):
        with suppress(Exception):
            SYNC[way]()
    until = time.monotonic() + 5
    while alive() and way in {"thread", "gather"} and time.monotonic() < until:
        # The worker thread may still hold the job that it has just finished.
        time.sleep(0.005)
    assert (len(bodies) > 0, alive()) == (True, 0)


@pytest.mark.parametrize("way", ASYNC)
async def test_a_failed_async_call_frees_the_callees_frame(way: str) -> None:
    for _ in range(3):
        with suppress(Exception):
            await ASYNC[way]()
    await asyncio.sleep(0)
    assert (len(bodies) > 0, alive()) == (True, 0)


async def test_coroutines_that_share_a_failure_have_short_tracebacks_of_their_own() -> None:
    async def late() -> None:
        await asyncio.sleep(0.01)
        raise ValueError("shared")

    calls = [kept.acall(late, made(cache_key="crowd")) for _ in range(WAITERS)]
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert len({id(error) for error in errors}) == WAITERS
    for error in errors:
        assert isinstance(error, ValueError)
        assert len(traceback.extract_tb(error.__traceback__)) <= 12
        assert "late" in {frame.name for frame in traceback.extract_tb(error.__traceback__)}


def test_threads_that_share_a_failure_have_short_tracebacks_of_their_own() -> None:
    errors: list[Exception] = []
    arrived = threading.Barrier(WAITERS)

    def late() -> None:
        time.sleep(0.2)
        raise ValueError("shared")

    def call() -> None:
        arrived.wait(10)
        try:
            kept.call(late, made(cache_key="threads"))
        except ValueError as error:
            errors.append(error)

    threads = [threading.Thread(target=call) for _ in range(WAITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len({id(error) for error in errors}) == WAITERS
    assert max(len(traceback.extract_tb(error.__traceback__)) for error in errors) <= 12


class NotFound(Exception):
    def __init__(self, kind: str, number: int) -> None:
        super().__init__(f"no {kind} {number}")
        self.number = number


@pytest.mark.parametrize(
    "error",
    [
        NotFound("user", 7),
        OSError(2, "missing", "/file"),
        ExceptionGroup("two", [ValueError(1), KeyError(2)]),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_each_waiter_gets_the_error_as_it_is(error: Exception) -> None:
    async def late() -> None:
        await asyncio.sleep(0.01)
        error.add_note("of the callee")
        raise error

    calls = [kept.acall(late, made(cache_key=type(error).__name__)) for _ in range(3)]
    for got in await asyncio.gather(*calls, return_exceptions=True):
        assert (type(got), str(got), vars(got)) == (type(error), str(error), vars(error))
