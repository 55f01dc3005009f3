"""What a user of resilience4j expects, and its name here.

| resilience4j | here |
|---|---|
| `slidingWindowType` COUNT_BASED, TIME_BASED; `slidingWindowSize` | `window_type="count"`, `"time"`; `window_size` |
| `minimumNumberOfCalls`, `failureRateThreshold` (percent) | `minimum_calls`, `failure_rate_threshold` (share) |
| `slowCallDurationThreshold`, `slowCallRateThreshold` | `slow_call_duration`, `slow_call_rate_threshold` |
| `permittedNumberOfCallsInHalfOpenState` | `success_threshold`, `half_open_max_calls` |
| `maxWaitDurationInHalfOpenState` | `half_open_lease` |
| `waitDurationInOpenState`, `waitIntervalFunctionInOpenState` | `timeout_duration`, `open_backoff_factor`, `open_jitter` |
| `automaticTransitionFromOpenToHalfOpenEnabled` | always, on `state` and `snapshot()` |
| `recordExceptions`, `ignoreExceptions`, `recordResultPredicate` | `record`, `ignore`, `is_failure` |
| `transitionToForcedOpenState()`, `…DisabledState()`, `…MetricsOnlyState()`, `reset()` | `set_override("forced_open")`, `("forced_closed")`, `("metrics_only")`, `reset()` |
| `CallNotPermittedException` | `CircuitBreakerOpen` |
| `Bulkhead`, `RateLimiter`, `Retry`, `TimeLimiter`, `Cache` | `Bulkhead`, `RateLimiter`, `CallOptions` |
| `Decorators.of…` | `CallOptions`, one order |
"""

from __future__ import annotations

from typing import Any

import pytest

from breakers import (
    CallOptions,
    CircuitBreaker,
    CircuitForcedOpen,
    RateLimited,
    RateLimiter,
    ResilientCaller,
    State,
)
from tests.breakers.peers.side_by_side import Odd, Time, drive, ours


def r4j(clock: Time, **fields: Any) -> CircuitBreaker:
    defaults: dict[str, Any] = {
        "failure_threshold": None, "failure_rate_threshold": 0.5, "window_size": 10,
        "minimum_calls": 5, "timeout_duration": 60.0, "success_threshold": 3,
        "half_open_max_calls": 3,
    }  # fmt: skip
    return ours(clock, **(defaults | fields))


@pytest.mark.parametrize(
    ("script", "seen"),
    [
        ("xxxx", "xxxx"),
        ("xxxxx.", "xxxxx-"),
        ("x.x.x.", "x.x.x-"),
        ("......" + "xxxxx.", "......" + "xxxxx-"),
        ("....." * 4 + "xxxx.", "....." * 4 + "xxxx."),
    ],
)
def test_the_rate_over_the_last_calls_opens_it(clock: Time, script: str, seen: str) -> None:
    assert drive(r4j(clock).call, script) == seen


def test_slow_calls_open_it_although_they_answer(clock: Time) -> None:
    breaker = r4j(clock, slow_call_duration=2.0, slow_call_rate_threshold=0.8)
    for _ in range(5):
        breaker.call(clock.advance, 2.0)
    assert breaker.state is State.OPEN
    assert breaker.snapshot().cause == "100% of 5 calls were slow"


def test_a_result_can_be_a_failure(clock: Time) -> None:
    breaker = r4j(clock, is_failure=lambda status: status >= 500)
    for _ in range(5):
        assert breaker.call(lambda: 503) == 503
    assert breaker.state is State.OPEN


def test_what_is_ignored_is_neither_success_nor_failure(clock: Time) -> None:
    breaker = r4j(clock, ignore=Odd)
    drive(breaker.call, "ooooo")
    assert breaker.snapshot().window.calls == 0


def test_no_more_than_permitted_in_half_open(clock: Time) -> None:
    breaker = r4j(clock)
    drive(breaker.call, "xxxxx")
    clock.advance(60)
    held = [breaker.enter() for _ in range(3)]
    assert drive(breaker.call, ".") == "-"
    for entry, start in held:
        breaker.leave(entry, start)
    assert breaker.state is State.CLOSED


def test_a_probe_that_never_returns_does_not_hold_it_half_open_for_ever(clock: Time) -> None:
    # resilience4j issue: stuck in half-open with no permits left.
    breaker = r4j(clock, half_open_max_calls=1, success_threshold=1, half_open_lease=20.0)
    drive(breaker.call, "xxxxx")
    clock.advance(60)
    breaker.enter()
    assert drive(breaker.call, ".") == "-"
    clock.advance(20)
    assert drive(breaker.call, ".") == "."
    assert breaker.state is State.CLOSED


def test_it_goes_to_half_open_by_itself(clock: Time) -> None:
    breaker = r4j(clock)
    drive(breaker.call, "xxxxx")
    clock.advance(60)
    assert breaker.state is State.HALF_OPEN


class TestOperatorsStates:
    def test_a_leftover_timer_does_not_slip_it_out_of_forced_open(self, clock: Time) -> None:
        breaker = r4j(clock)
        drive(breaker.call, "xxxxx")
        breaker.set_override("forced_open")
        clock.advance(61)
        with pytest.raises(CircuitForcedOpen):
            breaker.call(int)
        assert (breaker.state, breaker.snapshot().state) == (State.FORCED_OPEN, State.FORCED_OPEN)

    def test_disabled_passes_all(self, clock: Time) -> None:
        breaker = r4j(clock)
        breaker.set_override("forced_closed")
        assert drive(breaker.call, "x" * 20 + ".") == "x" * 20 + "."

    def test_metrics_only_records_and_never_refuses(self, clock: Time) -> None:
        breaker = r4j(clock)
        breaker.set_override("metrics_only")
        assert drive(breaker.call, "x" * 20 + ".") == "x" * 20 + "."
        assert breaker.snapshot().counts["failure"] == 20
        assert breaker.snapshot().would_be_open

    def test_reset_forgets(self, clock: Time) -> None:
        breaker = r4j(clock)
        drive(breaker.call, "xxxxx")
        breaker.reset()
        assert drive(breaker.call, "xxxx.") == "xxxx."


def test_events_are_published(clock: Time) -> None:
    breaker = r4j(clock, success_threshold=1)
    told: list[tuple[str, str]] = []
    breaker.add_listener(lambda record: told.append((record.after, record.cause)))
    drive(breaker.call, "xxxxx")
    clock.advance(60)
    drive(breaker.call, ".")
    assert told == [
        ("open", "100% of 5 calls failed"),
        ("half_open", "wait ended, testing again"),
        ("closed", "test calls succeeded: 1"),
    ]


def test_not_permitted_calls_are_counted(clock: Time) -> None:
    breaker = r4j(clock)
    drive(breaker.call, "xxxxx...")
    assert breaker.snapshot().counts["rejected"] == 3


def test_a_rate_limiter_refuses_what_is_over_the_rate(clock: Time) -> None:
    limiter = RateLimiter(2, per=1.0, clock=clock)
    options = CallOptions(timeout=None, retries=1, rate_limiter=limiter)
    caller = ResilientCaller()
    assert [caller.call(int, options) for _ in range(2)] == [0, 0]
    with pytest.raises(RateLimited):
        caller.call(int, options)
    clock.advance(0.5)
    assert caller.call(int, options) == 0


def test_the_configuration_can_change_while_it_runs(clock: Time) -> None:
    breaker = r4j(clock)
    breaker.apply_policy({"failure_rate_threshold": 1.0})
    assert drive(breaker.call, "xxxx.xxxx.") == "xxxx.xxxx."
    breaker.apply_policy({"failure_rate_threshold": 0.5})
    assert drive(breaker.call, "..")[1] == "-"
