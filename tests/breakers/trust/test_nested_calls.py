"""One logical call through a breaker holds one permit and is counted once."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from breakers import CircuitBreaker, CircuitBreakerOpen, State
from breakers.testing import FakeClock


def guarded(breaker: CircuitBreaker) -> tuple[Callable[[], int], list[bool]]:
    up = [True]

    @breaker
    def inner() -> int:
        if not up[0]:
            raise ConnectionError
        return 7

    @breaker
    def outer() -> int:
        return inner()

    return outer, up


def test_a_nested_call_is_counted_once() -> None:
    breaker = CircuitBreaker(2, registry=None)
    outer, up = guarded(breaker)
    assert outer() == 7
    up[0] = False
    with pytest.raises(ConnectionError):
        outer()
    shot = breaker.snapshot()
    assert (shot.counts["success"], shot.counts["failure"]) == (1, 1)
    assert (shot.state, shot.in_flight) == (State.CLOSED, 0)


def half_open(clock: FakeClock, **fields: Any) -> CircuitBreaker:
    breaker = CircuitBreaker(1, 30, clock=clock, registry=None, **fields)
    with pytest.raises(ConnectionError):
        breaker.call(_fail)
    clock.advance(31)
    assert breaker.state is State.HALF_OPEN
    return breaker


def _fail() -> None:
    raise ConnectionError


def test_a_nested_call_passes_with_the_permit_of_the_outer_one() -> None:
    breaker = half_open(FakeClock())
    outer, _ = guarded(breaker)
    assert [outer(), outer()] == [7, 7]
    assert breaker.state is State.CLOSED


async def test_so_does_a_nested_coroutine_and_the_tasks_that_it_starts() -> None:
    breaker = half_open(FakeClock())

    async def leaf() -> int:
        return 7

    async def outer() -> int:
        first = await breaker.acall(leaf)
        others = await asyncio.gather(breaker.acall(leaf), breaker.acall(leaf))
        return first + sum(others)

    assert [await breaker.acall(outer), await breaker.acall(outer)] == [21, 21]
    assert breaker.state is State.CLOSED
    assert breaker.snapshot().counts["success"] == 2


async def test_so_does_a_thread_that_it_starts() -> None:
    breaker = half_open(FakeClock())

    async def outer() -> int:
        return await asyncio.to_thread(breaker.call, lambda: 7)

    assert [await breaker.acall(outer), await breaker.acall(outer)] == [7, 7]
    assert breaker.state is State.CLOSED


def test_a_block_counts_for_the_calls_inside_it() -> None:
    breaker = CircuitBreaker(2, registry=None)
    with breaker:
        breaker.call(int)
        with breaker:
            breaker.call(int)
    assert breaker.snapshot().counts["success"] == 1


def test_another_caller_is_no_part_of_the_call() -> None:
    breaker = half_open(FakeClock())
    said: list[str] = []

    def probe() -> None:
        with ThreadPoolExecutor(1) as pool:
            said.append(type(pool.submit(breaker.call, int).exception()).__name__)

    breaker.call(probe)
    assert said == ["CircuitBreakerOpen"]


def test_a_task_that_outlives_its_probe_is_a_caller_of_its_own() -> None:
    clock = FakeClock()
    breaker = half_open(clock, success_threshold=3, half_open_max_calls=1)
    context: list[contextvars.Context] = []
    breaker.call(lambda: context.append(contextvars.copy_context()))
    with breaker, pytest.raises(CircuitBreakerOpen):  # the block has the only permit
        context[0].run(_in_another_thread, breaker)


def _in_another_thread(breaker: CircuitBreaker) -> None:
    context = contextvars.copy_context()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(context.run, breaker.call, int).result()


def test_threads_that_call_through_one_breaker_are_all_counted() -> None:
    breaker = CircuitBreaker(registry=None)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: [breaker.call(int) for _ in range(500)], range(8)))
    assert breaker.snapshot().counts["success"] == 4000


async def test_tasks_that_call_through_one_breaker_are_all_counted() -> None:
    breaker = CircuitBreaker(registry=None)

    async def leaf() -> None:
        await asyncio.sleep(0)

    await asyncio.gather(*(breaker.acall(leaf) for _ in range(2000)))
    shot = breaker.snapshot()
    assert (shot.counts["success"], shot.in_flight) == (2000, 0)
