"""What a user of nopanic expects, and its name here.

| nopanic | here |
|---|---|
| `CircuitBreaker(failure_threshold=0.5, min_calls=5, window=30)` | `failure_rate_threshold`, `minimum_calls`, `window_type="time", window_size` |
| `reset_timeout`, `half_open_max_calls` | `timeout_duration`, `half_open_max_calls` and `success_threshold` |
| `on=E` | `record=E` |
| `slow_call_duration`, `slow_call_threshold` | `slow_call_duration`, `slow_call_rate_threshold` |
| `with breaker.guard():` | `with breaker:` |
| `force_open()`, `disable()`, `reset()` | `set_override("forced_open")`, `("forced_closed")`, `reset()` |
| `CircuitOpen` with `retry_after` | `CircuitBreakerOpen` with `retry_after_s` |
| `retry(attempts=3, on=E)` | `CallOptions(retries=3, retry_on=E)` |
"""

from __future__ import annotations

from typing import Any

import nopanic
import pytest

from breakers import CallOptions, CircuitBreaker, CircuitBreakerOpen, ResilientCaller, State
from tests.breakers.peers.side_by_side import Boom, Odd, Time, boom, drive, ours


def theirs(clock: Time, **fields: Any) -> nopanic.CircuitBreaker:
    fields = {"min_calls": 4, "window": 20.0, "window_buckets": 20, **fields}
    return nopanic.CircuitBreaker(clock=clock.monotonic, **fields)


def ours_here(clock: Time, **fields: Any) -> CircuitBreaker:
    given = {"failure_rate_threshold": 0.5, "minimum_calls": 4, "success_threshold": 1, **fields}
    return ours(clock, failure_threshold=None, window_type="time", window_size=20, **given)


def called(breaker: nopanic.CircuitBreaker) -> Any:
    """Their way in is a decorator: of a function that calls what it is given."""
    return breaker(lambda func: func())


@pytest.mark.parametrize("script", [".x.x.", "xxxx.", "....xxxxx..", "..x.x.xxx."])
def test_a_failure_rate_over_the_last_seconds_opens_it(clock: Time, script: str) -> None:
    assert drive(ours_here(clock).call, script) == drive(called(theirs(clock)), script)


def test_what_is_old_is_forgotten(clock: Time) -> None:
    them, us = called(theirs(clock)), ours_here(clock).call
    for pause, script in ((0, "xxx"), (25, "...x"), (0, "xxx.")):
        clock.advance(pause)
        assert drive(them, script) == drive(us, script)


def test_slow_calls_open_it(clock: Time) -> None:
    them = theirs(clock, slow_call_duration=2.0, slow_call_threshold=0.5)
    us = ours_here(clock, slow_call_duration=2.0, slow_call_rate_threshold=0.5)

    def slow() -> None:
        clock.advance(3.0)

    for call in (called(them), us.call):
        for func in (int, slow, int, slow):
            call(func)
    assert them.state == us.state == "open"


def test_it_recovers_by_a_probe(clock: Time) -> None:
    them, us = theirs(clock, reset_timeout=30.0), ours_here(clock, timeout_duration=30.0)
    for call in (called(them), us.call):
        drive(call, "xxxx")
    for pause, script, state in ((31, "x", "open"), (31, ".", "closed")):
        clock.advance(pause)
        assert drive(called(them), script) == drive(us.call, script) == script
        assert them.state == us.state == state


def test_other_errors_are_not_recorded(clock: Time) -> None:
    them, us = theirs(clock, on=Boom), ours_here(clock, record=Boom)
    for call in (called(them), us.call):
        assert drive(call, "oooooo.") == "oooooo."
    assert them.metrics.failures == us.snapshot().window.failures == 0


def test_a_block_is_guarded(clock: Time) -> None:
    them, us = theirs(clock, min_calls=1), ours_here(clock, minimum_calls=1)
    for block in (them.guard, lambda: us):
        with pytest.raises(Boom), block():
            boom()
    assert them.state == us.state == "open"


def test_states_by_hand(clock: Time) -> None:
    them, us = theirs(clock), ours_here(clock)
    them.force_open()
    us.set_override("forced_open")
    assert drive(called(them), ".") == drive(us.call, ".") == "-"
    them.disable()
    us.set_override("forced_closed")
    assert drive(called(them), "xxxxxx.") == drive(us.call, "xxxxxx.") == "xxxxxx."
    them.reset()
    us.set_override(None)
    assert them.state == us.state == "closed"


def test_a_refusal_says_when_to_come_again(clock: Time) -> None:
    them, us = theirs(clock, reset_timeout=30.0), ours_here(clock, timeout_duration=30.0)
    waits: list[float | None] = []
    for call, error in ((called(them), nopanic.CircuitOpen), (us.call, CircuitBreakerOpen)):
        drive(call, "xxxx")
        with pytest.raises(error) as refused:
            call(int)
        waits.append(
            refused.value.retry_after  # type: ignore[attr-defined]
            if error is nopanic.CircuitOpen
            else refused.value.retry_after_s  # type: ignore[attr-defined]
        )
    assert waits == [30.0, 30.0]


@pytest.mark.parametrize("error", [Boom, Odd])
def test_retries(error: type[Exception]) -> None:
    made = [0, 0]

    def failing(side: int) -> Any:
        def call() -> None:
            made[side] += 1
            raise error

        return call

    with pytest.raises(error):
        nopanic.retry(attempts=3, on=Boom, backoff=0.0)(failing(0))()
    with pytest.raises(error):
        options = CallOptions(timeout=None, retries=3, retry_on=Boom, retry_delay=0.0)
        ResilientCaller().call(failing(1), options)
    assert made[0] == made[1]


def test_the_state_is_the_same_word(clock: Time) -> None:
    assert {"closed", "open", "half_open", "forced_open"} <= {state.value for state in State}
    assert theirs(clock).state == ours_here(clock).state
