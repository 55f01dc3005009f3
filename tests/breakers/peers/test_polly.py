"""What a user of Polly 8 expects, and its name here.

| Polly | here |
|---|---|
| `FailureRatio`, `MinimumThroughput`, `SamplingDuration` | `failure_rate_threshold`, `minimum_calls`, `window_type="time"` with `window_size` |
| `BreakDuration`, `BreakDurationGenerator` | `timeout_duration`, `open_backoff_factor` |
| `ShouldHandle` | `record`, `is_failure`; `retry_on`, `retry_on_result` |
| `ManualControl.IsolateAsync()`, `CloseAsync()` | `set_override("forced_open")`, `set_override(None)` with `reset()` |
| `StateProvider` | `state`, `snapshot()` |
| `BrokenCircuitException`, `IsolatedCircuitException` | `CircuitBreakerOpen`, `CircuitForcedOpen` |
| `MaxRetryAttempts` (retries on top) | `retries` (attempts in all: one more) |
| `AddTimeout` outside, inside of the retry | `deadline`, `timeout` |
| `AddHedging(Delay, MaxHedgedAttempts)` | `hedge_delay`, `hedge_attempts` |
| `AddConcurrencyLimiter`, `AddRateLimiter` | `bulkhead`, `rate_limiter` |
| `AddFallback` | `fallback` |
| `TimeoutRejectedException` | `CallTimeout` |
| `ResiliencePipelineBuilder` | `CallOptions`, one order |
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from breakers import (
    CallOptions,
    CallTimeout,
    CircuitBreaker,
    CircuitBreakerOpen,
    CircuitForcedOpen,
    ResilientCaller,
    RetryAttempt,
)
from tests.breakers.peers.side_by_side import Boom, Time, aboom, boom, drive, ours


def polly(clock: Time, **fields: Any) -> CircuitBreaker:
    defaults: dict[str, Any] = {
        "failure_threshold": None, "failure_rate_threshold": 0.1, "minimum_calls": 100,
        "window_type": "time", "window_size": 30, "timeout_duration": 5.0, "success_threshold": 1,
    }  # fmt: skip
    return ours(clock, **(defaults | fields))


def test_a_tenth_of_a_hundred_calls_in_the_sampling_time_opens_it(clock: Time) -> None:
    script = ".........x" * 10
    assert drive(polly(clock).call, script + ".") == script + "-"
    assert drive(polly(clock).call, script[:-1] + "..") == script[:-1] + ".."


def test_one_call_at_a_time_while_half_open(clock: Time) -> None:
    breaker = polly(clock, minimum_calls=2)
    drive(breaker.call, "xx")
    clock.advance(5)
    breaker.enter()
    assert drive(breaker.call, ".") == "-"


def test_isolation_has_its_own_error_under_the_other(clock: Time) -> None:
    breaker = polly(clock)
    breaker.set_override("forced_open")
    with pytest.raises(CircuitForcedOpen):
        breaker.call(int)
    assert issubclass(CircuitForcedOpen, CircuitBreakerOpen)
    breaker.set_override(None)
    breaker.reset()
    assert drive(breaker.call, ".") == "."


def test_the_break_lasts_longer_each_time(clock: Time) -> None:
    breaker = polly(clock, minimum_calls=2, open_backoff_factor=2.0)
    drive(breaker.call, "xx")
    assert breaker.snapshot().retry_after_s == 5.0
    clock.advance(5)
    drive(breaker.call, "x")
    assert breaker.snapshot().retry_after_s == 10.0


def test_results_are_handled_as_errors_are(clock: Time) -> None:
    answers = iter([503, 503, 200])
    options = CallOptions(
        timeout=None, retries=3, retry_delay=0, retry_on_result=lambda s: s >= 500
    )
    assert ResilientCaller().call(lambda: next(answers), options) == 200


def test_retries_are_told_of() -> None:
    told: list[int] = []
    caller = ResilientCaller(sleep=lambda seconds: None)

    def on_retry(attempt: RetryAttempt) -> None:
        told.append(attempt.attempt)

    with pytest.raises(Boom):
        caller.call(boom, CallOptions(timeout=None, retries=4, on_retry=on_retry))
    assert told == [1, 2, 3]


async def test_a_timeout_inside_of_the_retry_and_one_outside() -> None:
    asked: list[float] = []

    async def never() -> None:
        asked.append(1)
        await asyncio.Event().wait()

    caller = ResilientCaller()
    with pytest.raises(CallTimeout):
        await caller.acall(never, CallOptions(timeout=0.005, retries=3, retry_delay=0.0))
    assert len(asked) == 3
    with pytest.raises(CallTimeout) as late:
        await caller.acall(never, CallOptions(timeout=30, retries=3, deadline=0.01))
    assert (len(asked), late.value.timeout) == (4, 0.01)


async def test_hedging_takes_the_first_answer() -> None:
    asked: list[int] = []

    async def service() -> str:
        asked.append(1)
        if len(asked) == 1:
            await asyncio.Event().wait()
        return f"answer {len(asked)}"

    options = CallOptions(timeout=5.0, hedge_delay=0.001, hedge_attempts=2)
    assert await ResilientCaller().acall(service, options) == "answer 2"


async def test_one_pipeline_in_one_order() -> None:
    breaker = CircuitBreaker(failure_threshold=2)
    options = CallOptions(
        timeout=1.0, retries=5, retry_delay=0.0, circuit_breaker=breaker, fallback=lambda: "instead"
    )
    # Retry is outside of the breaker: once that is open, there is no further attempt.
    assert await ResilientCaller().acall(aboom, options) == "instead"
    counts = breaker.snapshot().counts
    assert (counts["failure"], counts["rejected"], counts["retry"]) == (2, 1, 2)
