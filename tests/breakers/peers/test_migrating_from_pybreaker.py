"""Each row of migrating.md for pybreaker, run beside the real package."""

from __future__ import annotations

import asyncio
from typing import Any

import pybreaker
import pytest

from breakers import (
    CallRecord,
    CircuitBreaker,
    CircuitBreakerOpen,
    CircuitForcedOpen,
    Fallback,
    ResilientCaller,
    TransitionRecord,
)
from breakers.testing import FakeClock
from tests.breakers.peers.migrating import Fails, Rows, caught, options
from tests.breakers.peers.side_by_side import Boom, Odd, drive

row = Rows("pybreaker")


@row("CircuitBreaker(fail_max=5, reset_timeout=60)")
def fail_max() -> None:
    them = pybreaker.CircuitBreaker(fail_max=5, reset_timeout=60, throw_new_error_on_trip=False)
    us = CircuitBreaker(failure_threshold=5, timeout_duration=60)
    for script in ("xxxx.", "xxxxx.x"):
        assert drive(them.call, script) == drive(us.call, script)


@row("success_threshold")
def success_threshold() -> None:
    clock = FakeClock()
    them = pybreaker.CircuitBreaker(fail_max=1, reset_timeout=0, success_threshold=3)
    us = CircuitBreaker(1, 0.001, success_threshold=3, clock=clock, open_jitter=0.0)
    for breaker in (them, us):
        caught(lambda breaker=breaker: breaker.call(Fails()))  # type: ignore[misc]
    clock.advance(1)
    states = []
    for _ in range(3):
        them.call(int)
        us.call(int)
        states.append((them.current_state, us.state.replace("_", "-")))
    assert states == [("half-open", "half-open")] * 2 + [("closed", "closed")]


@row("exclude=[Error, predicate]")
def exclude() -> None:
    predicate = lambda error: isinstance(error, Odd)  # noqa: E731
    for excluded in (Odd, predicate):
        them = pybreaker.CircuitBreaker(fail_max=1, exclude=[excluded])
        us = CircuitBreaker(1, ignore=excluded)
        assert drive(them.call, "oo.") == drive(us.call, "oo.") == "oo."


@row("name")
def name() -> None:
    them = pybreaker.CircuitBreaker(name="rows")
    assert them.name == CircuitBreaker(name="rows", registry=None).name == "rows"


@row("CircuitBreakerError")
def refused() -> None:
    them = pybreaker.CircuitBreaker(fail_max=1, throw_new_error_on_trip=False)
    us = CircuitBreaker(1)
    names = []
    for breaker in (them, us):
        caught(lambda breaker=breaker: breaker.call(Fails()))  # type: ignore[misc]
        names.append(caught(lambda breaker=breaker: breaker.call(int)))  # type: ignore[misc]
    assert names == ["CircuitBreakerError", "CircuitBreakerOpen"]


@row("current_state")
def current_state() -> None:
    them = pybreaker.CircuitBreaker(fail_max=1)
    us = CircuitBreaker(1)
    assert them.current_state == us.state == "closed"
    for breaker in (them, us):
        caught(lambda breaker=breaker: breaker.call(Fails()))  # type: ignore[misc]
    assert them.current_state == us.state == "open"
    them.half_open()
    us.set_override("forced_open")
    us.set_override(None)
    assert (them.current_state, us.state) == ("half-open", "half_open")


@row("fail_counter")
def fail_counter() -> None:
    them = pybreaker.CircuitBreaker(fail_max=3)
    us = CircuitBreaker(3)
    for script in ("xx", ".", "x"):
        drive(them.call, script)
        drive(us.call, script)
        assert them.fail_counter == us.snapshot().window.consecutive_failures
    for breaker in (them, us):
        drive(breaker.call, "xx")
    assert them.fail_counter == us.snapshot().window.consecutive_failures == 3
    assert us.snapshot().cause == "3 failures in a row"


@row("open(), half_open(), close()")
def by_hand() -> None:
    them, us = pybreaker.CircuitBreaker(), CircuitBreaker()
    them.open()
    us.trip()
    assert them.current_state == us.state == "open"
    with pytest.raises(CircuitBreakerOpen):
        us.call(int)
    us.set_override("forced_open")
    with pytest.raises(CircuitForcedOpen):
        us.call(int)
    us.set_override(None)
    assert us.state == "half_open"
    them.close()
    us.reset()
    assert them.current_state == us.state == "closed"


class Listener(pybreaker.CircuitBreakerListener):
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
        self.seen.append((old_state.name, new_state.name))

    def success(self, cb: Any) -> None:
        self.seen.append("success")

    def failure(self, cb: Any, exc: BaseException) -> None:
        self.seen.append(type(exc).__name__)


@row("CircuitBreakerListener with state_change")
def state_change() -> None:
    listener, ours = Listener(), list[tuple[str, str]]()

    def moved(record: TransitionRecord) -> None:
        ours.append((record.before.value, record.after.value))

    them, us = pybreaker.CircuitBreaker(fail_max=1, listeners=[listener]), CircuitBreaker(1)
    us.add_listener(moved)
    for breaker in (them, us):
        caught(lambda breaker=breaker: breaker.call(Fails()))  # type: ignore[misc]
    assert ours == [each for each in listener.seen if isinstance(each, tuple)]


@row("CircuitBreakerListener with success, failure")
def success_and_failure() -> None:
    listener, ours = Listener(), list[str]()

    def ended(record: CallRecord) -> None:
        ours.append(type(record.error).__name__ if record.error else record.outcome)

    them, us = pybreaker.CircuitBreaker(listeners=[listener]), CircuitBreaker()
    made = options(retries=1, circuit_breaker=us, on_attempt=ended)
    for func in (int, Fails(), int):
        caught(lambda func=func: them.call(func))  # type: ignore[misc]
        caught(lambda func=func: ResilientCaller().call(func, made))  # type: ignore[misc]
    assert ours == listener.seen == ["success", "Boom", "success"]
    counts = us.snapshot().counts
    assert (counts["success"], counts["failure"]) == (2, 1)


@row("with breaker.calling():")
def calling() -> None:
    them, us = pybreaker.CircuitBreaker(fail_max=2), CircuitBreaker(2)
    for block in (them.calling, lambda: us):
        with pytest.raises(Boom), block():
            raise Boom
    assert them.fail_counter == us.snapshot().window.consecutive_failures == 1


@row("call_async (tornado)")
def call_async() -> None:
    async def main() -> None:
        us = CircuitBreaker(1)
        decorated = us(afail)
        for way in (lambda: us.acall(afail), decorated):
            us.reset()
            with pytest.raises(Boom):
                await way()
            assert us.state == "open"
        us.reset()
        with pytest.raises(Boom):
            async with us:
                raise Boom

    asyncio.run(main())


async def afail() -> None:
    raise Boom


@row("CircuitRedisStorage")
def redis_storage() -> None:
    """A dashboard takes its place: an operator's override is obeyed without a store."""
    assert hasattr(pybreaker, "CircuitRedisStorage")
    us = CircuitBreaker()
    us.set_override("forced_open")
    with pytest.raises(CircuitForcedOpen):
        us.call(int)


@pytest.mark.parametrize("cell", row.cells)
def test_a_row_is_true(cell: str) -> None:
    assert cell in row.tests, "this row has no test"
    row.tests[cell]()


def test_no_test_is_of_a_row_that_is_gone() -> None:
    assert set(row.tests) == set(row.cells)


def test_hystrix_bad_requests_reach_no_fallback() -> None:
    """HystrixBadRequestException is neither counted nor answered by getFallback()."""
    us = CircuitBreaker(1, ignore=Odd, registry=None)
    made = options(retries=1, circuit_breaker=us, fallback=lambda *args: "fallback")
    assert caught(lambda: ResilientCaller().call(Fails(error=Odd), made)) == "Odd"
    assert (us.state, us.snapshot().counts["fallback"]) == ("closed", 0)


def test_a_circuitbreakers_fallback_answers_refusals_alone() -> None:
    us = CircuitBreaker(1, registry=None)
    by_kind = Fallback(lambda *args: "fallback", on=CircuitBreakerOpen)
    made = options(retries=1, circuit_breaker=us, fallback=by_kind)
    call = lambda: ResilientCaller().call(Fails(), made)  # noqa: E731
    assert [caught(call), caught(call)] == ["Boom", "fallback"]


def test_what_opened_it_is_seen_by_a_hook() -> None:
    """circuitbreaker's last_failure is the error; `cause` is a text."""
    us = CircuitBreaker(1, registry=None)
    errors: list[Any] = []
    made = options(
        retries=1, circuit_breaker=us, on_attempt=lambda record: errors.append(record.error)
    )
    caught(lambda: ResilientCaller().call(Fails(), made))
    assert isinstance(errors[-1], Boom)
    assert us.snapshot().cause == "1 failures in a row"
    assert us.snapshot().retry_after_s is not None
