"""Every field of a policy is honoured by the calls: set, switched off, and given back to code."""

from __future__ import annotations

import asyncio

import pytest

from breakers import Bulkhead, CallOptions, CircuitBreaker, RateLimiter, ResilientCaller
from breakers.errors import BulkheadFull, CallTimeout, PolicyError, RateLimited
from breakers.limits.retry_budget import RetryBudget


class Pauses:
    """Records the pauses of a caller instead of sleeping."""

    def __init__(self, random: float = 0.0) -> None:
        self.seconds: list[float] = []
        self.caller = ResilientCaller(sleep=self.seconds.append, random=lambda: random)


def failing() -> None:
    raise ValueError


def tries(pauses: Pauses, options: CallOptions) -> list[float]:
    pauses.seconds.clear()
    with pytest.raises(ValueError):
        pauses.caller.call(failing, options)
    return list(pauses.seconds)


def breaker() -> CircuitBreaker:
    return CircuitBreaker(failure_threshold=None, registry=None)


def test_pauses_are_capped_and_jittered_as_the_policy_says() -> None:
    posts = breaker()
    budget = RetryBudget(burst=100)
    options = CallOptions(
        None, retries=4, retry_delay=1.0, circuit_breaker=posts, retry_budget=budget
    )
    pauses = Pauses(random=0.0)
    assert tries(pauses, options) == [0.0, 0.0, 0.0]
    posts.apply_policy({"retry_jitter": 0.0, "retry_delay_max": 3.0})
    assert tries(pauses, options) == [1.0, 2.0, 3.0]
    posts.apply_policy({"retry_jitter": 0.5})
    assert tries(pauses, options) == [0.5, 1.0, 2.0]
    posts.apply_policy({})
    assert tries(pauses, options) == [0.0, 0.0, 0.0]


def test_a_retry_budget_can_be_set_and_switched_off() -> None:
    posts = breaker()
    options = CallOptions(None, retries=20, retry_delay=0.0, circuit_breaker=posts)
    pauses = Pauses()
    posts.apply_policy({"retry_budget": 0.0})
    assert len(tries(pauses, options)) == 10  # the burst, and nothing after it
    assert tries(pauses, options) == []
    posts.apply_policy({"retry_budget": None})
    assert len(tries(pauses, options)) == 19
    assert len(tries(pauses, options)) == 19


def test_a_bulkhead_can_be_set_resized_and_switched_off() -> None:
    posts = breaker()
    own = Bulkhead(1)
    options = CallOptions(None, retries=1, circuit_breaker=posts, bulkhead=own)
    assert posts.declared.bulkhead_size == 1
    caller = ResilientCaller()

    def nested() -> str:
        return caller.call(lambda: "inside", options)

    with pytest.raises(BulkheadFull):
        caller.call(nested, options)
    posts.apply_policy({"bulkhead_size": 2})
    assert caller.call(nested, options) == "inside"
    posts.apply_policy({"bulkhead_size": 1})
    with pytest.raises(BulkheadFull):
        caller.call(nested, options)
    posts.apply_policy({"bulkhead_size": None})
    assert caller.call(nested, options) == "inside"
    assert posts.snapshot().counts["bulkhead_full"] > 0


def test_a_resized_bulkhead_keeps_its_holders() -> None:
    slots = Bulkhead(2)
    slots.acquire()
    slots.acquire()
    slots.resize(1)
    slots.release()
    with pytest.raises(BulkheadFull):
        slots.acquire()
    slots.resize(2)
    slots.acquire()
    assert slots.in_flight == 2


def test_a_rate_limit_can_be_set_and_switched_off() -> None:
    posts = breaker()
    options = CallOptions(None, retries=1, circuit_breaker=posts)
    caller = ResilientCaller()
    posts.apply_policy({"rate_limit": 0.01})
    caller.call(int, options)
    with pytest.raises(RateLimited):
        caller.call(int, options)
    posts.apply_policy({"rate_limit": None})
    caller.call(int, options)
    limited = CallOptions(
        None, retries=1, circuit_breaker=breaker(), rate_limiter=RateLimiter(3, per=2.0)
    )
    assert limited.circuit_breaker is not None
    assert limited.circuit_breaker.declared.rate_limit == 1.5


def test_a_deadline_can_be_set_and_switched_off() -> None:
    posts = breaker()
    options = CallOptions(None, retries=1, circuit_breaker=posts, deadline=0.001)
    caller = ResilientCaller()

    async def slow() -> str:
        await asyncio.sleep(0.05)
        return "done"

    with pytest.raises(CallTimeout):
        asyncio.run(caller.acall(slow, options))
    posts.apply_policy({"deadline": None})
    assert asyncio.run(caller.acall(slow, options)) == "done"


def test_hedging_can_be_switched_off_and_only_code_can_allow_it() -> None:
    posts = breaker()
    options = CallOptions(None, retries=1, circuit_breaker=posts, hedge_delay=0.0)
    caller, calls = ResilientCaller(), []

    async def slow() -> str:
        calls.append(1)
        await asyncio.sleep(0.02)
        return "done"

    asyncio.run(caller.acall(slow, options))
    assert len(calls) == 2
    posts.apply_policy({"hedge_delay": None})
    asyncio.run(caller.acall(slow, options))
    assert len(calls) == 3

    unhedged = breaker()
    CallOptions(None, circuit_breaker=unhedged)
    with pytest.raises(PolicyError, match="declares no hedging"):
        unhedged.apply_policy({"hedge_delay": 0.1})
    assert unhedged.remote == {}
