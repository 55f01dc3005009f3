"""What `CallOptions` can ask for beyond the article: retry rules and hooks, room and turns,
hedging, single flight, stale and negative answers; sync and async alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from breakers import (
    AdaptiveLimit,
    Bulkhead,
    BulkheadFull,
    CallOptions,
    CallTimeout,
    CircuitBreaker,
    FallbackValue,
    PolicyError,
    RateLimited,
    RateLimiter,
    ResilientCaller,
    RetryAttempt,
    RetryBudget,
    remaining,
    resilient,
)
from tests.breakers.calls.calling import Boom, Calls, Dependency


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Calls:
    return Calls(request.param)


class TestRetryRules:
    def test_a_function_of_the_error_may_decide(self, call: Calls) -> None:
        service = Dependency(failures=9)
        options = CallOptions(timeout=None, retry_on=lambda error: service.asked < 2)
        with pytest.raises(Boom):
            call(service, options)
        assert service.asked == 2

    def test_an_answer_that_is_not_good_enough_is_asked_for_again(self, call: Calls) -> None:
        answers = iter([202, 202, 200])
        options = CallOptions(timeout=None, retry_on_result=lambda status: status == 202)
        assert call(lambda: next(answers), options) == 200
        assert call.slept == [0.5, 1.0]

    def test_the_last_attempts_answer_is_returned_as_it_is(self, call: Calls) -> None:
        options = CallOptions(timeout=1.0, retries=2, retry_on_result=lambda status: True)
        assert call(lambda: 202, options) == 202
        assert len(call.slept) == 1

    def test_a_pause_has_a_cap(self, call: Calls) -> None:
        options = CallOptions(timeout=None, retries=5, retry_delay=1.0, retry_delay_max=3.0)
        call(Dependency(failures=4), options)
        assert call.slept == [1.0, 2.0, 3.0, 3.0]

    def test_a_hook_is_told_before_each_pause(self, call: Calls) -> None:
        told: list[RetryAttempt] = []
        call(Dependency(failures=1), CallOptions(timeout=None, on_retry=told.append))
        (only,) = told
        assert (only.attempt, only.attempts, only.result, only.pause_s) == (1, 3, None, 0.5)
        assert isinstance(only.error, Boom)

    def test_a_hook_that_fails_harms_nobody(self, call: Calls) -> None:
        def hook(attempt: RetryAttempt) -> None:
            raise OSError

        assert call(Dependency(failures=1), CallOptions(timeout=None, on_retry=hook)) == "answer"

    def test_a_budget_bounds_retries_where_there_is_no_breaker(self, call: Calls) -> None:
        service = Dependency(failures=10_000)
        options = CallOptions(timeout=None, retries=2, retry_budget=RetryBudget(0.1, burst=5))
        for _ in range(100):
            with pytest.raises(Boom):
                call(service, options)
        assert 105 <= service.asked <= 115


class TestBulkheads:
    def test_a_call_holds_its_room_and_gives_it_back(self, call: Calls) -> None:
        bulkhead = Bulkhead(1)
        options = CallOptions(timeout=1.0, bulkhead=bulkhead)
        assert call(lambda: bulkhead.in_flight, options) == 1
        assert bulkhead.in_flight == 0

    def test_without_room_the_callee_is_not_asked_and_it_is_counted(self, call: Calls) -> None:
        bulkhead, breaker, service = Bulkhead(1), CircuitBreaker(), Dependency()
        options = CallOptions(timeout=1.0, bulkhead=bulkhead, circuit_breaker=breaker)
        with bulkhead, pytest.raises(BulkheadFull):
            call(service, options)
        assert (service.asked, breaker.snapshot().counts["bulkhead_full"]) == (0, 1)
        assert breaker.snapshot().counts["failure"] == 0

    def test_a_fallback_answers_where_there_is_no_room(self, call: Calls) -> None:
        bulkhead = AdaptiveLimit(1)
        bulkhead.acquire()
        options = CallOptions(timeout=1.0, bulkhead=bulkhead, fallback=FallbackValue([]))
        assert call(Dependency(), options) == []

    def test_a_turn_is_asked_for_once_a_call(self, call: Calls) -> None:
        limiter = RateLimiter(1, per=3600.0)
        options = CallOptions(timeout=1.0, rate_limiter=limiter)
        assert call(Dependency(failures=1), options) == "answer"
        with pytest.raises(RateLimited):
            call(Dependency(), options)


class TestHedging:
    async def test_a_late_attempt_is_made_once_more(self) -> None:
        asked: list[int] = []

        async def service(n: int) -> str:
            asked.append(n)
            if len(asked) == 1:
                await asyncio.sleep(60)
            return "answer"

        options = CallOptions(timeout=5.0, hedge_delay=0.001, circuit_breaker=CircuitBreaker())
        assert await ResilientCaller().acall(service, options, 7) == "answer"
        assert asked == [7, 7]

    def test_threads_cannot_be_hedged(self) -> None:
        with pytest.raises(TypeError, match="acall"):
            ResilientCaller().call(int, CallOptions(timeout=None, hedge_delay=0.1))


class TestDecorator:
    def test_a_function_keeps_its_name_and_gains_resilience(self) -> None:
        @resilient(CallOptions(timeout=1.0, retries=1, fallback=lambda text: -1))
        def number(text: str) -> int:
            """A number."""
            assert remaining() is not None
            return int(text)

        assert (number("7"), number("x"), number.__doc__) == (7, -1, "A number.")

    async def test_a_coroutine_function_too(self) -> None:
        @resilient(CallOptions(timeout=0.01, retries=1, fallback=FallbackValue("late")))
        async def hang() -> str:
            await asyncio.sleep(60)
            return "answer"

        assert asyncio.iscoroutinefunction(hang)
        assert await hang() == "late"


class TestManyTimeouts:
    """All coroutines of a loop share one timer."""

    async def test_each_is_cut_off_at_its_own_time(self) -> None:
        order: list[float] = []

        async def one(seconds: float) -> None:
            with pytest.raises(CallTimeout) as late:
                await ResilientCaller().acall(
                    asyncio.sleep, CallOptions(timeout=seconds, retries=1), 60
                )
            order.append(late.value.timeout or 0.0)

        times = [0.05, 0.01, 0.03, 0.02, 0.04]
        await asyncio.gather(*map(one, times))
        assert order == sorted(times)

    def test_a_second_loop_in_the_thread_has_its_own(self) -> None:
        async def late() -> None:
            await ResilientCaller().acall(asyncio.sleep, CallOptions(timeout=0.01, retries=1), 60)

        for _ in range(2):
            with pytest.raises(CallTimeout):
                asyncio.run(late())

    async def test_a_late_one_beside_prompt_ones_is_still_cut_off(self) -> None:
        caller = ResilientCaller()
        late = asyncio.create_task(
            caller.acall(asyncio.sleep, CallOptions(timeout=0.03, retries=1), 60)
        )
        for _ in range(200):
            await caller.acall(asyncio.sleep, CallOptions(timeout=5.0), 0)
        with pytest.raises(CallTimeout):
            await late


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"retry_on": 7}, "retry_on"),
        ({"retry_on": (int,)}, "retry_on"),
        ({"retry_on_result": 7}, "retry_on_result"),
        ({"on_retry": "print"}, "on_retry"),
        ({"retry_delay_max": -1}, "retry_delay_max"),
        ({"stale_ttl": 0}, "stale_ttl"),
        ({"negative_on": (int,)}, "negative_on"),
        ({"negative_ttl": 0}, "negative_ttl"),
        ({"hedge_delay": -1}, "hedge_delay"),
        ({"hedge_attempts": 1}, "hedge_attempts"),
        ({"cache_key": 7}, "cache_key"),
    ],
)
def test_misuse_is_refused_at_construction(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(PolicyError) as error:
        CallOptions(timeout=1.0, **fields)
    assert error.value.field == field


def test_unknown_fields_are_refused() -> None:
    make: Callable[..., CallOptions] = CallOptions
    with pytest.raises(TypeError, match="retires"):
        make(timeout=1.0, retires=3)
