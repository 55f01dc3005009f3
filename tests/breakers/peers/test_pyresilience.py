"""What a user of pyresilience expects, and its name here.

| pyresilience | here |
|---|---|
| `@resilient(retry=…, timeout=…, circuit_breaker=…)` | `@resilient(CallOptions(…))` |
| `CircuitBreakerConfig(failure_threshold, recovery_timeout, success_threshold)` | `CircuitBreaker(failure_threshold, timeout_duration, success_threshold)` |
| `sliding_window_size`, `failure_rate_threshold`, `minimum_calls` | `window_size`, `failure_rate_threshold`, `minimum_calls` |
| `error_types`, `ignore_on` | `record`, `ignore` |
| `RetryConfig(max_attempts=3, delay=1, retry_on=[E])` | `retries=3, retry_delay=1, retry_on=E` |
| `FallbackConfig(handler=value or function of the error, fallback_on)` | `FallbackValue(value)`, `Fallback(f, on=…, with_error=True)` |
| `CircuitOpenError` | `CircuitBreakerOpen` |
| `enabled=False` | `breakers.testing.set_active(False)` |
"""

from __future__ import annotations

from typing import Any

import pyresilience
import pytest
from pyresilience import CircuitBreakerConfig, FallbackConfig, RetryConfig

from breakers import (
    CallOptions,
    CircuitBreaker,
    Fallback,
    FallbackValue,
    ResilientCaller,
    resilient,
)
from tests.breakers.peers.side_by_side import Boom, Odd, Time, boom, drive, ours


@pytest.fixture
def stopped(clock: Time, monkeypatch: pytest.MonkeyPatch) -> Time:
    monkeypatch.setattr("pyresilience._circuit_breaker._monotonic", clock.monotonic)
    return clock


def theirs(**fields: Any) -> Any:
    """Their way in is a decorator, with a breaker for each function."""
    config = CircuitBreakerConfig(**fields)
    return pyresilience.resilient(circuit_breaker=config)(lambda func: func())


@pytest.mark.parametrize("script", ["xx.xx", "xxx..", "x.x.xxx.", "xoxox."])
def test_failures_in_a_row_open_it(stopped: Time, script: str) -> None:
    us = ours(stopped, failure_threshold=3, record=(Boom, Odd))
    assert drive(theirs(failure_threshold=3), script) == drive(us.call, script)


@pytest.mark.parametrize("script", ["x.x..", "xxx.x", "...x.x.xxx", ".x...x...xxxx."])
def test_a_failure_rate_over_the_last_calls_opens_it(stopped: Time, script: str) -> None:
    fields: dict[str, Any] = {"failure_rate_threshold": 0.5, "minimum_calls": 4}
    us = ours(stopped, failure_threshold=None, window_size=10, **fields)
    assert drive(theirs(sliding_window_size=10, **fields), script) == drive(us.call, script)


def test_it_recovers_after_two_successes(stopped: Time) -> None:
    them = theirs(failure_threshold=1, recovery_timeout=30.0, success_threshold=2)
    us = ours(stopped, failure_threshold=1, timeout_duration=30.0, success_threshold=2).call
    for pause, script, expected in ((0, "x.", "x-"), (31, ".x.", ".x-"), (31, "..x.", "..x-")):
        stopped.advance(pause)
        assert drive(them, script) == drive(us, script) == expected


def test_ignored_errors_win_over_recorded_ones(stopped: Time) -> None:
    them = theirs(failure_threshold=1, ignore_on=[Odd])
    us = ours(stopped, failure_threshold=1, ignore=Odd)
    assert drive(them, "ooo.x.") == drive(us.call, "ooo.x.") == "ooo.x-"


@pytest.mark.parametrize("error", [Boom, Odd])
def test_retries(error: type[Exception]) -> None:
    made = [0, 0]

    def failing(side: int) -> Any:
        def call() -> None:
            made[side] += 1
            raise error

        return call

    retry = RetryConfig(max_attempts=3, delay=0.0, jitter=False, retry_on=[Boom])
    with pytest.raises(error):
        pyresilience.resilient(retry=retry)(failing(0))()
    with pytest.raises(error):
        options = CallOptions(timeout=None, retries=3, retry_delay=0.0, retry_on=Boom)
        resilient(options)(failing(1))()
    assert made[0] == made[1]


def test_a_constant_and_a_function_of_the_error_are_fallbacks() -> None:
    value = pyresilience.resilient(fallback=FallbackConfig(handler="default"))(boom)
    options = CallOptions(timeout=None, retries=1, fallback=FallbackValue("default"))
    assert value() == resilient(options)(boom)() == "default"
    named = FallbackConfig(handler=lambda error: type(error).__name__, fallback_on=[Boom])
    by_error = Fallback(lambda error: type(error).__name__, on=Boom, with_error=True)
    options = CallOptions(timeout=None, retries=1, fallback=by_error)
    assert pyresilience.resilient(fallback=named)(boom)() == resilient(options)(boom)() == "Boom"


def test_several_functions_may_share_one_breaker_here(clock: Time) -> None:
    """Theirs has one for each function: another one to the same dependency is still called."""
    decorate = pyresilience.resilient(circuit_breaker=CircuitBreakerConfig(failure_threshold=1))
    first, second = decorate(boom), decorate(lambda: "called")
    with pytest.raises(Boom):
        first()
    assert second() == "called"
    shared = CircuitBreaker(1, clock=clock)
    options = CallOptions(timeout=None, retries=1, circuit_breaker=shared)
    with pytest.raises(Boom):
        ResilientCaller().call(boom, options)
    with pytest.raises(Exception, match="is open"):
        ResilientCaller().call(lambda: "called", options)
