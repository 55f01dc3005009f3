"""Outcomes are dated when they happened, and the window's figures are true in every state."""

from __future__ import annotations

from typing import Any

import pytest

from breakers import Bulkhead, BulkheadFull, CircuitBreaker, CircuitBreakerOpen, State
from breakers.testing import FakeClock


def fail() -> None:
    raise ConnectionError


def drive(breaker: CircuitBreaker, n: int) -> None:
    for _ in range(n):
        with pytest.raises((ConnectionError, CircuitBreakerOpen)):
            breaker.call(fail)


def timed(clock: FakeClock, **fields: Any) -> CircuitBreaker:
    return CircuitBreaker(
        None,
        failure_rate_threshold=0.5,
        minimum_calls=10,
        window_type="time",
        window_size=10,
        clock=clock,
        registry=None,
        **fields,
    )


@pytest.mark.parametrize("before", [0, 1, 63, 64, 65, 200])
def test_successes_of_an_hour_ago_weigh_nothing(before: int) -> None:
    clock = FakeClock()
    breaker = timed(clock)
    for _ in range(before):
        breaker.call(int)
    clock.advance(3600)
    drive(breaker, 9)
    assert breaker.state is State.CLOSED
    drive(breaker, 1)
    assert breaker.state is State.OPEN


def test_a_success_after_a_quiet_hour_does_not_bring_the_old_ones_back() -> None:
    clock = FakeClock()
    breaker = timed(clock)
    for _ in range(50):
        breaker.call(int)
    clock.advance(3600)
    breaker.call(int)
    assert breaker.snapshot().window.calls == 1


def test_metrics_only_shows_what_happens() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(5, 60, clock=clock, registry=None)
    breaker.set_override("metrics_only")
    drive(breaker, 50)
    shot = breaker.snapshot()
    assert shot.would_be_open
    assert (shot.window.calls, shot.window.failure_rate) == (50, 1.0)
    assert shot.window.consecutive_failures == 50


def test_forced_closed_shows_what_happens() -> None:
    breaker = CircuitBreaker(5, 60, registry=None)
    breaker.set_override("forced_closed")
    drive(breaker, 50)
    assert breaker.snapshot().window.failure_rate == 1.0


def test_half_open_shows_how_its_test_calls_went() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(2, 30, success_threshold=3, clock=clock, registry=None)
    drive(breaker, 2)
    for _ in range(3):
        clock.advance(31)
        drive(breaker, 1)
    shot = breaker.snapshot()
    assert (shot.window.calls, shot.window.failures) == (5, 5)
    clock.advance(31)
    breaker.call(int)
    shot = breaker.snapshot()
    assert (shot.state, shot.probe_successes) == (State.HALF_OPEN, 1)
    assert (shot.window.calls, shot.window.failures) == (6, 5)


def test_a_closed_breaker_begins_with_a_fresh_window() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(2, 30, success_threshold=1, clock=clock, registry=None)
    drive(breaker, 2)
    clock.advance(31)
    breaker.call(int)
    shot = breaker.snapshot()
    assert (shot.state, shot.window.calls, shot.window.failures) == (State.CLOSED, 0, 0)


def test_a_line_at_a_bulkhead_has_a_bound() -> None:
    bulkhead = Bulkhead(1, max_wait=5, max_waiting=0)
    with bulkhead, pytest.raises(BulkheadFull, match="max_waiting is 0"):
        bulkhead.acquire()
    assert bulkhead.rejected == 1
    assert Bulkhead(1, max_wait=5).max_waiting == 1000


async def test_a_crowd_of_coroutines_meets_the_bound() -> None:
    import asyncio

    bulkhead = Bulkhead(1, max_wait=60)
    bulkhead.acquire()
    crowd = [asyncio.create_task(bulkhead.aacquire()) for _ in range(5000)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    refused = [each for each in crowd if each.done() and isinstance(each.exception(), BulkheadFull)]
    assert (len(refused), bulkhead.waiting) == (4000, 1000)
    for each in crowd:
        each.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    assert bulkhead.waiting == 0
