"""What a user of Hystrix expects, and its name here.

| Hystrix | here |
|---|---|
| `circuitBreaker.requestVolumeThreshold` (20) | `minimum_calls` |
| `circuitBreaker.errorThresholdPercentage` (50) | `failure_rate_threshold` (0.5) |
| `circuitBreaker.sleepWindowInMilliseconds` (5000) | `timeout_duration` (5.0) |
| `metrics.rollingStats.timeInMilliseconds` (10000) | `window_type="time"`, `window_size=10` |
| `circuitBreaker.forceOpen`, `forceClosed` | `set_override("forced_open")`, `("forced_closed")` |
| `execution.isolation.thread.timeoutInMilliseconds` (1000) | `CallOptions.timeout` (1.0) |
| `execution.isolation.strategy` THREAD, SEMAPHORE | `strategy="thread"`, a `Bulkhead` |
| `coreSize`, `semaphore.maxConcurrentRequests` | `Bulkhead(max_concurrent)` |
| `getFallback()` | `CallOptions.fallback` |
| `getCacheKey()` | `CallOptions.cache_key` |
| `HystrixBadRequestException` | `ignore` |
| request collapsing | single flight, for calls of one key |
"""

from __future__ import annotations

import threading
from typing import Any

import pytest

from breakers import (
    Bulkhead,
    BulkheadFull,
    CallOptions,
    CallTimeout,
    CircuitBreaker,
    CircuitBreakerOpen,
    FallbackValue,
    ResilientCaller,
    TTLCache,
)
from tests.breakers.peers.side_by_side import Boom, Odd, Time, boom, drive, ours

DEFAULTS: dict[str, Any] = {
    "failure_threshold": None, "failure_rate_threshold": 0.5, "minimum_calls": 20,
    "window_type": "time", "window_size": 10, "timeout_duration": 5.0, "success_threshold": 1,
}  # fmt: skip


def hystrix(clock: Time, **fields: Any) -> CircuitBreaker:
    return ours(clock, **(DEFAULTS | fields))


def test_below_the_volume_nothing_opens_it(clock: Time) -> None:
    assert drive(hystrix(clock).call, "x" * 19 + ".") == "x" * 19 + "."


def test_half_of_the_calls_within_the_window_open_it(clock: Time) -> None:
    assert drive(hystrix(clock).call, ".x" * 10 + ".") == ".x" * 10 + "-"


def test_what_is_older_than_the_window_is_forgotten(clock: Time) -> None:
    breaker = hystrix(clock)
    drive(breaker.call, "x" * 19)
    clock.advance(11)
    assert drive(breaker.call, "x." * 9) == "x." * 9


def test_after_the_sleep_window_one_request_tries(clock: Time) -> None:
    breaker = hystrix(clock)
    drive(breaker.call, "x" * 20)
    clock.advance(5)
    assert drive(breaker.call, "x.") == "x-"
    clock.advance(5)
    assert drive(breaker.call, "...") == "..."


def test_it_is_half_open_on_every_screen_then(clock: Time) -> None:
    # Their dashboard shows half-open as open.
    breaker = hystrix(clock)
    drive(breaker.call, "x" * 20)
    clock.advance(5)
    assert breaker.state == breaker.snapshot().state == "half_open"


def test_forced_open_wins_and_forced_closed_passes_everything(clock: Time) -> None:
    breaker = hystrix(clock)
    breaker.set_override("forced_open")
    assert drive(breaker.call, "..") == "--"
    breaker.set_override("forced_closed")
    assert drive(breaker.call, "x" * 30 + ".") == "x" * 30 + "."


def test_a_bad_request_is_no_failure(clock: Time) -> None:
    breaker = hystrix(clock, ignore=Odd)
    assert drive(breaker.call, "o" * 30 + ".") == "o" * 30 + "."
    assert breaker.snapshot().counts["ignored"] == 30


class TestCommand:
    def test_a_timeout_frees_the_caller_and_counts(self) -> None:
        breaker = CircuitBreaker()
        never = threading.Event()
        options = CallOptions(timeout=0.02, retries=1, circuit_breaker=breaker, strategy="thread")
        with pytest.raises(CallTimeout):
            ResilientCaller().call(never.wait, options)
        never.set()
        assert breaker.snapshot().counts["timeout"] == 1

    def test_a_semaphore_refuses_at_once_and_that_is_counted(self) -> None:
        breaker, semaphore = CircuitBreaker(), Bulkhead(1)
        options = CallOptions(timeout=None, circuit_breaker=breaker, bulkhead=semaphore)
        with semaphore, pytest.raises(BulkheadFull):
            ResilientCaller().call(int, options)
        assert breaker.snapshot().counts["bulkhead_full"] == 1
        assert breaker.snapshot().counts["failure"] == 0

    @pytest.mark.parametrize("why", ["failure", "timeout", "open", "no room"])
    def test_the_fallback_answers_for_every_reason(self, why: str) -> None:
        breaker, capacity, never = CircuitBreaker(), Bulkhead(1), threading.Event()
        options = CallOptions(
            timeout=0.02, retries=1, circuit_breaker=breaker, bulkhead=capacity,
            fallback=FallbackValue("fallback"), strategy="thread",
        )  # fmt: skip
        func: Any = {"failure": boom, "timeout": never.wait}.get(why, int)
        if why == "open":
            breaker.set_override("forced_open")
        if why == "no room":
            capacity.acquire()
        assert ResilientCaller().call(func, options) == "fallback"
        never.set()
        assert breaker.snapshot().counts["fallback"] == 1

    def test_a_fallback_may_fail_too(self) -> None:
        options = CallOptions(timeout=None, retries=1, fallback=boom)
        with pytest.raises(Boom):
            ResilientCaller().call(boom, options)

    def test_answers_are_kept_by_key(self) -> None:
        asked: list[int] = []
        options = CallOptions(timeout=None, cache_key=lambda n: f"square:{n}")
        caller = ResilientCaller(TTLCache())

        def square(n: int) -> int:
            asked.append(n)
            return n * n

        assert [caller.call(square, options, n) for n in (2, 3, 2)] == [4, 9, 4]
        assert asked == [2, 3]

    def test_who_asks_for_the_same_at_once_asks_once(self) -> None:
        caller = ResilientCaller(TTLCache())
        options = CallOptions(timeout=None, cache_key="user:7")
        arrived, go, asked = threading.Event(), threading.Event(), []

        def user() -> str:
            asked.append(1)
            arrived.set()
            assert go.wait(5)
            return "Ada"

        answers: list[str] = []
        crowd = [
            threading.Thread(target=lambda: answers.append(caller.call(user, options)))
            for _ in range(5)
        ]
        crowd[0].start()
        assert arrived.wait(5)
        for thread in crowd[1:]:
            thread.start()
        go.set()
        for thread in crowd:
            thread.join(5)
        assert (answers, asked) == (["Ada"] * 5, [1])


def test_a_refusal_says_when_to_come_back(clock: Time) -> None:
    breaker = hystrix(clock)
    drive(breaker.call, "x" * 20)
    clock.advance(1)
    with pytest.raises(CircuitBreakerOpen) as refused:
        breaker.call(int)
    assert refused.value.retry_after_s == 4.0


def test_counts_and_percentiles_are_there_for_the_stream(clock: Time) -> None:
    breaker = hystrix(clock)

    def slow() -> None:
        clock.advance(0.2)

    for _ in range(99):
        breaker.call(int)
    breaker.call(slow)
    shot = breaker.snapshot()
    assert shot.counts["success"] == sum(shot.buckets.values()) == 100
    assert shot.sum_s == pytest.approx(0.2)
