"""The holes in the article's sketch, one test each: its shape stays, these are closed."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from breakers import (
    CallOptions,
    CallTimeout,
    CircuitBreaker,
    CircuitBreakerOpen,
    ResilientCaller,
    State,
    TTLCache,
    timeout,
)
from breakers.testing import FakeClock


class Down(Exception):
    pass


def fail() -> None:
    raise Down


def test_a_timeout_may_be_a_fraction_of_a_second() -> None:
    with pytest.raises(CallTimeout), timeout(0.01):
        time.sleep(30)


def test_a_timeout_works_outside_of_the_main_thread() -> None:
    caught: list[Exception] = []
    never = threading.Event()

    def run() -> None:
        try:
            ResilientCaller().call(never.wait, CallOptions(timeout=0.01, retries=1))
        except Exception as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(5)
    never.set()
    assert isinstance(caught[0], CallTimeout)


def test_nested_timeouts_do_not_disarm_each_other() -> None:
    with pytest.raises(CallTimeout) as late, timeout(0.02):
        with timeout(30):
            pass
        time.sleep(30)
    assert late.value.timeout == 0.02


def test_a_half_open_breaker_lets_no_more_probes_pass_than_allowed() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(failure_threshold=1, timeout_duration=30, clock=clock)
    with pytest.raises(Down):
        breaker.call(fail)
    clock.advance(30)
    breaker.enter()
    with pytest.raises(CircuitBreakerOpen):
        breaker.call(int)


def test_one_failed_probe_opens_it_again() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(failure_threshold=3, timeout_duration=30, clock=clock)
    for _ in range(3):
        with pytest.raises(Down):
            breaker.call(fail)
    clock.advance(30)
    with pytest.raises(Down):
        breaker.call(fail)
    assert breaker.state is State.OPEN


def test_the_wall_clock_decides_nothing() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(failure_threshold=1, timeout_duration=30, clock=clock)
    with pytest.raises(Down):
        breaker.call(fail)
    clock.set_wall(clock.wall() + 86_400)
    with pytest.raises(CircuitBreakerOpen):
        breaker.call(int)


def test_a_call_that_began_before_the_trip_does_not_heal_it() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(failure_threshold=1, timeout_duration=30, clock=clock)
    entry, start = breaker.enter()
    with pytest.raises(Down):
        breaker.call(fail)
    breaker.leave(entry, start)
    assert breaker.state is State.OPEN


def test_a_cached_none_is_no_miss() -> None:
    asked: list[int] = []
    caller = ResilientCaller(TTLCache())
    for _ in range(2):
        caller.call(lambda: asked.append(1), CallOptions(timeout=None, cache_key="none"))
    assert asked == [1]


def test_no_sleep_outlives_the_deadline() -> None:
    slept: list[float] = []
    caller = ResilientCaller(sleep=slept.append, random=lambda: 1.0)
    with pytest.raises(Down):
        caller.call(fail, CallOptions(timeout=None, retries=5, retry_delay=2.0, deadline=1.0))
    assert slept == []


def test_backoff_is_jittered_and_retries_have_a_budget() -> None:
    slept: list[float] = []
    caller = ResilientCaller(sleep=slept.append)
    breaker = CircuitBreaker(failure_threshold=None)
    for _ in range(100):
        with pytest.raises(Down):
            caller.call(fail, CallOptions(timeout=None, retries=2, circuit_breaker=breaker))
    assert len(slept) <= 30
    assert len(set(slept)) == len(slept)


@pytest.mark.parametrize("broken", ["cache", "metrics"])
def test_a_broken_backend_breaks_no_call(broken: str) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise OSError(name)

    caller = ResilientCaller(**{broken: Broken()})
    assert caller.call(lambda: 42, CallOptions(timeout=None, cache_key="k")) == 42


def test_an_open_breaker_says_when_to_come_back() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(1, 30, clock=clock, name="posts", registry=None, open_jitter=0.0)
    with pytest.raises(Down):
        breaker.call(fail)
    clock.advance(10)
    with pytest.raises(CircuitBreakerOpen) as refused:
        breaker.call(int)
    assert (refused.value.breaker, refused.value.retry_after_s) == ("posts", 20.0)
