"""What a user of interlock expects, and its name here.

| interlock | here |
|---|---|
| `Config(failure_rate_threshold, minimum_number_of_calls, window_size, window_type)` | `failure_rate_threshold`, `minimum_calls`, `window_size`, `window_type` |
| `slow_call_duration_threshold`, `slow_call_rate_threshold` | `slow_call_duration`, `slow_call_rate_threshold` |
| `permitted_calls_in_half_open`, `max_concurrent_probes` | `success_threshold`, `half_open_max_calls` |
| `wait_duration_in_open`, `..._backoff_multiplier`, `..._max` | `timeout_duration`, `open_backoff_factor`, `open_duration_max` |
| `force_open()`, `disable()`, `metrics_only()`, `reset()` | `set_override("forced_open" …)`, `reset()` |
| `classifier` | `record`, `ignore`, `is_failure` |
| `CircuitOpenError` | `CircuitBreakerOpen` |
| `Registry`, `Pipeline` | `Registry`, `CallOptions` |
"""

from __future__ import annotations

from typing import Any

import interlock
import pytest

from breakers import CallOptions, CircuitBreaker, FallbackValue, PolicyError, ResilientCaller, State
from tests.breakers.peers.side_by_side import Boom, Time, boom, drive, in_a_thread, ours


def theirs(clock: Time, **config: Any) -> interlock.CircuitBreaker:
    config.setdefault("minimum_number_of_calls", 4)
    config.setdefault("window_size", 10)
    return interlock.CircuitBreaker(name="posts", config=interlock.Config(**config), clock=clock)


def ours_here(clock: Time, **fields: Any) -> CircuitBreaker:
    fields.setdefault("minimum_calls", 4)
    fields.setdefault("window_size", 10)
    fields.setdefault("failure_rate_threshold", 0.5)
    return ours(clock, failure_threshold=None, **fields)


@pytest.mark.parametrize("script", ["x.x..", "xxx.x", "...x.x.x.x.x.x", ".x...x...x...xxxx."])
def test_a_failure_rate_over_the_last_calls_opens_it(clock: Time, script: str) -> None:
    assert drive(ours_here(clock).call, script) == drive(theirs(clock).call_sync, script)


def test_a_failure_rate_over_the_last_seconds_opens_it(clock: Time) -> None:
    them = theirs(clock, window_type=interlock.WindowType.TIME_BASED, window_size=10)
    us = ours_here(clock, window_type="time", window_size=10)
    for pause, script, expected in ((0, "xxx", "xxx"), (20, "...x", "...x"), (0, "xxxx", "xx--")):
        clock.advance(pause)
        assert drive(them.call_sync, script) == drive(us.call, script) == expected


def test_slow_calls_open_it(clock: Time) -> None:
    them = theirs(clock, slow_call_duration_threshold=2.0, slow_call_rate_threshold=0.5)
    us = ours_here(clock, slow_call_duration=2.0, slow_call_rate_threshold=0.5)

    def slow() -> None:
        clock.advance(3.0)

    for call in (them.call_sync, us.call):
        for func in (int, slow, int, slow):
            call(func)
    assert (them.state, us.state) == (interlock.State.OPEN, State.OPEN)


def test_so_many_probes_at_once_and_so_many_to_close_it(clock: Time) -> None:
    them = theirs(
        clock, permitted_calls_in_half_open=3, max_concurrent_probes=1, wait_duration_in_open=30.0
    )
    us = ours_here(clock, success_threshold=3, half_open_max_calls=1, timeout_duration=30.0)
    for each in (them, us):
        drive(each.call_sync if each is them else us.call, "xxxx")
    clock.advance(31)

    def inside(call: Any) -> str:
        seen: list[str] = []

        def probe() -> str:
            seen.append(in_a_thread(lambda: drive(call, ".")))
            return "answer"

        call(probe)
        return seen[0]

    assert inside(them.call_sync) == inside(us.call) == "-"
    assert drive(them.call_sync, "..") == drive(us.call, "..") == ".."
    assert (them.state, us.state) == (interlock.State.CLOSED, State.CLOSED)


def test_one_failed_probe_opens_it_again_here(clock: Time) -> None:
    # Theirs waits for all its permitted probes and judges their rate; ours loses no time.
    us = ours_here(clock, success_threshold=3, timeout_duration=30.0)
    drive(us.call, "xxxx")
    clock.advance(31)
    assert drive(us.call, ".x.") == ".x-"


def test_the_open_time_grows_to_a_bound(clock: Time) -> None:
    us = ours_here(clock, timeout_duration=10, open_backoff_factor=2.0, open_duration_max=30)
    waits = []
    drive(us.call, "xxxx")
    for _ in range(4):
        wait = us.snapshot().retry_after_s
        assert wait is not None
        waits.append(wait)
        clock.advance(wait)
        drive(us.call, "x")
    assert waits == [10, 20, 30, 30]


def test_an_operators_states(clock: Time) -> None:
    them, us = theirs(clock), ours_here(clock)
    them.force_open()
    us.set_override("forced_open")
    assert drive(them.call_sync, "..") == drive(us.call, "..") == "--"
    them.metrics_only()
    us.set_override("metrics_only")
    assert drive(them.call_sync, "xxxxxx.") == drive(us.call, "xxxxxx.") == "xxxxxx."
    assert us.snapshot().would_be_open
    them.disable()
    us.set_override("forced_closed")
    assert drive(them.call_sync, "xxxxxx.") == drive(us.call, "xxxxxx.") == "xxxxxx."
    # `disable()` forgets what passed; forced_closed goes on measuring.
    assert us.snapshot().counts["failure"] == 12
    them.reset()
    us.set_override(None)
    us.reset()
    assert (them.state, us.state) == (interlock.State.CLOSED, State.CLOSED)


def test_a_pipeline_is_one_set_of_options(clock: Time) -> None:
    them = (
        interlock.Pipeline.builder()
        .fallback(lambda error: "fallback", on=(Boom,))
        .circuit_breaker(theirs(clock))
        .build()
    )
    options = CallOptions(
        timeout=None,
        retries=1,
        circuit_breaker=ours_here(clock),
        fallback=FallbackValue("fallback"),
    )
    assert them.call(boom) == ResilientCaller().call(boom, options) == "fallback"


@pytest.mark.parametrize(
    ("config", "fields", "field"),
    [
        (
            {"failure_rate_threshold": 1.5},
            {"failure_rate_threshold": 1.5},
            "failure_rate_threshold",
        ),
        ({"minimum_number_of_calls": 0}, {"minimum_calls": 0}, "minimum_calls"),
        ({"wait_duration_in_open": 0.0}, {"timeout_duration": 0.0}, "timeout_duration"),
        (
            {"wait_duration_backoff_multiplier": 0.5},
            {"open_backoff_factor": 0.5},
            "open_backoff_factor",
        ),
    ],
)
def test_misuse_is_refused_at_construction(
    clock: Time, config: dict[str, Any], fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValueError, match="must be"):
        theirs(clock, **config)
    with pytest.raises(PolicyError, match=field):
        ours_here(clock, **fields)
