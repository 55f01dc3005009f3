"""Only the time that the callee works counts; a stream that flows is a success."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count, islice
from typing import Any

import pytest

from breakers import CircuitBreaker, State
from breakers.testing import FakeClock


def half_open(clock: FakeClock, **fields: Any) -> CircuitBreaker:
    breaker = CircuitBreaker(1, 30, clock=clock, registry=None, **fields)
    breaker.trip()
    clock.advance(31)
    return breaker


def test_a_reader_that_takes_some_items_and_leaves_closes_a_half_open_breaker() -> None:
    breaker = half_open(FakeClock())

    @breaker
    def rows() -> Iterator[int]:
        yield from range(1000)

    for _ in range(2):
        running: Any = rows()
        assert list(islice(running, 3)) == [0, 1, 2]
        running.close()
    assert breaker.state is State.CLOSED


def test_an_endless_stream_gives_its_permit_back_while_it_flows() -> None:
    breaker = half_open(FakeClock())

    @breaker
    def watch() -> Iterator[int]:
        yield from count()

    first, second = watch(), watch()
    assert list(islice(first, 10)) == list(range(10))
    assert breaker.snapshot().probe_successes == 1
    assert list(islice(second, 10)) == list(range(10))
    assert breaker.state is State.CLOSED


def test_a_slow_reader_is_not_a_slow_callee() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(
        None,
        slow_call_duration=1.0,
        slow_call_rate_threshold=0.5,
        minimum_calls=1,
        clock=clock,
        registry=None,
    )

    @breaker
    def rows() -> Iterator[int]:
        for each in range(3):
            clock.advance(0.1)
            yield each

    for _ in rows():
        clock.advance(60)
    assert breaker.state is State.CLOSED
    assert breaker.snapshot().sum_s == pytest.approx(0.3)


def test_a_slow_callee_is_slow() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(
        None,
        slow_call_duration=1.0,
        slow_call_rate_threshold=0.5,
        minimum_calls=1,
        clock=clock,
        registry=None,
    )

    @breaker
    def rows() -> Iterator[int]:
        clock.advance(5)
        yield 1

    list(rows())
    assert breaker.state is State.OPEN


def test_a_stream_that_breaks_after_it_flowed_is_a_failure_of_its_own() -> None:
    breaker = CircuitBreaker(1, registry=None)

    @breaker
    def rows() -> Iterator[int]:
        yield from range(20)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        list(rows())
    shot = breaker.snapshot()
    assert (shot.counts["success"], shot.counts["failure"], shot.in_flight) == (1, 1, 0)
    assert shot.state is State.OPEN


async def test_so_do_async_generators() -> None:
    clock = FakeClock()
    breaker = half_open(clock)

    @breaker
    async def rows() -> AsyncIterator[int]:
        for each in count():
            clock.advance(0.01)
            yield each

    for _ in range(2):
        running: Any = rows()
        for _ in range(10):
            await anext(running)
            clock.advance(100)
    assert breaker.state is State.CLOSED


def test_send_throw_and_return_pass_through() -> None:
    breaker = CircuitBreaker(registry=None)

    @breaker
    def echo() -> Any:
        got = yield "first"
        try:
            yield got
        except KeyError:
            yield "caught"
        return "result"

    running: Any = echo()
    assert next(running) == "first"
    assert running.send("sent") == "sent"
    assert running.throw(KeyError()) == "caught"
    with pytest.raises(StopIteration) as end:
        next(running)
    assert end.value.value == "result"
    assert breaker.snapshot().counts["success"] == 1
