"""Misuse is refused with a clear error, or harmless."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import pytest

from breakers import (
    AdaptiveLimit,
    Bulkhead,
    CallOptions,
    CircuitBreaker,
    Deadline,
    Policy,
    PolicyError,
    RateLimiter,
    Registry,
    ResilientCaller,
    RetryBudget,
    State,
    TTLCache,
    remaining,
    timeout,
)
from breakers.calls.isolation import IsolationPool
from breakers.testing import FakeClock
from tests.breakers.boom import Boom, fail


class TestMisuse:
    @pytest.mark.parametrize(
        "name", ["circuit_breaker", "bulkhead", "rate_limiter", "retry_budget"]
    )
    def test_a_part_of_another_kind_is_named(self, name: str) -> None:
        with pytest.raises(PolicyError) as wrong:
            CallOptions(timeout=None, **{name: "posts"})  # type: ignore[arg-type]
        assert wrong.value.field == name

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 0, "5", True, [], None])
    def test_no_odd_number_gets_in(self, value: Any) -> None:
        makes: dict[str, Callable[[], object]] = {
            "timeout_duration": lambda: CircuitBreaker(timeout_duration=value),
            "cache_ttl": lambda: CallOptions(timeout=None, cache_ttl=value),
            "per": lambda: RateLimiter(1, per=value),
            "tolerance": lambda: AdaptiveLimit(5, tolerance=value if value != float("inf") else -1),
            "seconds": lambda: timeout(value),
            "max_entries": lambda: TTLCache(value),
            "max_breakers": lambda: Registry(value),
            "max_threads": lambda: IsolationPool(value),
            "max_concurrent": lambda: Bulkhead(value),
            "calls": lambda: RateLimiter(value),
            "maximum": lambda: AdaptiveLimit(5, maximum=value),
            "window_size": lambda: Policy(window_size=value),
        }
        for field, make in makes.items():
            with pytest.raises(PolicyError) as wrong:
                make()
            assert wrong.value.field == field

    @pytest.mark.parametrize("value", [float("nan"), -1, "5", True, [], None])
    def test_nor_where_nothing_is_a_number_too(self, value: Any) -> None:
        makes: dict[str, Callable[[], object]] = {
            "max_wait": lambda: Bulkhead(1, max_wait=value),
            "ratio": lambda: RetryBudget(ratio=value),
            "burst": lambda: RetryBudget(burst=value),
            "retry_delay": lambda: CallOptions(timeout=None, retry_delay=value),
        }
        for field, make in makes.items():
            with pytest.raises(PolicyError) as wrong:
                make()
            assert wrong.value.field == field

    def test_fields_that_there_are_not_are_named(self) -> None:
        with pytest.raises(PolicyError, match="bogus is 1; it must be left out"):
            CircuitBreaker(bogus=1)
        with pytest.raises(TypeError, match="bogus"):
            CallOptions(timeout=1, bogus=1)  # type: ignore[call-arg]
        with pytest.raises(
            PolicyError, match="window_type is 'weird'; it must be one of count, time"
        ):
            CircuitBreaker(window_type="weird")

    def test_a_cache_of_coroutines_in_a_sync_call_is_a_miss(self) -> None:
        class Cache:
            async def get(self, key: str) -> Any:
                raise AssertionError("is not awaited")

            def set(self, key: str, value: Any, ttl: float) -> None:
                pass

        assert (
            ResilientCaller(Cache()).call(lambda: 42, CallOptions(timeout=None, cache_key="k"))
            == 42
        )

    def test_a_key_that_is_no_text_becomes_one(self) -> None:
        caller = ResilientCaller(TTLCache())
        options = CallOptions(timeout=None, retries=1, cache_key=lambda n: n, stale_ttl=60.0)  # type: ignore[arg-type,return-value]
        assert [caller.call(lambda n: n, options, n) for n in (7, 8, 7)] == [7, 8, 7]
        with pytest.raises(ZeroDivisionError):
            caller.call(lambda n: 1 // n, options, 0)


def test_a_window_that_holds_fewer_calls_than_the_minimum_trips_when_it_is_full() -> None:
    breaker = CircuitBreaker(None, failure_rate_threshold=0.5, window_size=5, minimum_calls=10)
    for _ in range(5):
        with pytest.raises(Boom):
            breaker.call(fail)
    assert breaker.state is State.OPEN


def test_options_are_varied() -> None:
    options = CallOptions(timeout=1.0, retries=2)
    assert dataclasses.replace(options, retries=5).retries == 5


def test_an_isolated_call_sees_its_callers_context() -> None:
    user: contextvars.ContextVar[int] = contextvars.ContextVar("user")
    user.set(7)
    options = CallOptions(timeout=5.0, strategy="thread")
    assert ResilientCaller().call(user.get, options) == 7


@pytest.mark.parametrize("strategy", ["auto", "thread", "cooperative"])
def test_no_inner_deadline_exceeds_an_outer_one(strategy: Any) -> None:
    caller = ResilientCaller()
    inner = CallOptions(timeout=50.0, deadline=100.0, strategy=strategy)

    def nested() -> float | None:
        return caller.call(remaining, inner)

    def block() -> float | None:
        with timeout(50.0):
            return remaining()

    for func in (nested, block):
        for outer in ({"timeout": 5.0}, {"timeout": None, "deadline": 5.0}):
            left = caller.call(func, CallOptions(strategy=strategy, **outer))  # type: ignore[arg-type]
            assert left is not None
            assert left <= 5.0


@pytest.mark.parametrize("answer", [None, 0, "", [], False])
def test_every_answer_is_kept(answer: Any) -> None:
    caller, asked = ResilientCaller(TTLCache()), []

    def service() -> Any:
        asked.append(1)
        return answer

    for _ in range(2):
        assert caller.call(service, CallOptions(timeout=None, cache_key="k")) == answer
    assert asked == [1]


def test_one_odd_latency_at_the_start_does_not_spoil_an_adaptive_limit() -> None:
    limit = AdaptiveLimit(20, clock=FakeClock())
    for _ in range(20):
        limit.acquire()
    limit.observe(0.0)
    for _ in range(200):
        limit.observe(0.015)
    assert limit.max_concurrent >= 20


def test_an_interrupted_waiter_leaves_a_thread_that_is_counted_as_stranded() -> None:
    pool, never = IsolationPool(1), threading.Event()
    job = pool.start(never.wait)
    done = job.done

    class Interrupted:
        def wait(self, seconds: float | None = None) -> bool:
            raise KeyboardInterrupt

        def set(self) -> None:
            done.set()

    job.done = Interrupted()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        pool.result(job, Deadline.after(5))
    assert pool.stranded == 1
    never.set()
    assert done.wait(5)
    assert pool.stranded == 0


async def test_a_cancelled_probe_gives_its_permit_back() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(1, 30, success_threshold=1, clock=clock)
    with pytest.raises(Boom):
        breaker.call(fail)
    clock.advance(30)
    probe = asyncio.create_task(breaker.acall(asyncio.Event().wait))
    await asyncio.sleep(0)
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert await breaker.acall(asyncio.sleep, 0, "answer") == "answer"
    assert breaker.state is State.CLOSED
