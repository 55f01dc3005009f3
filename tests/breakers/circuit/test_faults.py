"""Faults that are injected into a share of a breaker's calls, and that end by themselves."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from breakers import (
    CallOptions,
    CallTimeout,
    CircuitBreaker,
    Fallback,
    InjectedFault,
    ResilientCaller,
    State,
)
from breakers.circuit import faults
from breakers.circuit.records import Fault
from breakers.testing import FakeClock


def make(**fields: Any) -> CircuitBreaker:
    return CircuitBreaker(
        **({"name": "posts", "registry": None, "failure_threshold": None} | fields)
    )


def put(
    breaker: CircuitBreaker, kind: str = "error", share: float = 1.0, latency_s: float = 0.0
) -> None:
    until = breaker._now() + 60.0
    faults.inject(breaker, Fault("f1", kind, share, latency_s, until))


async def answer() -> dict[str, int]:
    return {"id": 7}


def failures(breaker: CircuitBreaker, n: int) -> int:
    failed = 0
    for _ in range(n):
        try:
            breaker.call(int)
        except InjectedFault:
            failed += 1
    return failed


class TestErrors:
    def test_they_count_as_failures_of_the_callee_and_open_the_breaker(self) -> None:
        breaker = make(failure_threshold=3)
        put(breaker)
        assert failures(breaker, 3) == 3
        assert breaker.state is State.OPEN

    def test_they_hit_the_share_that_was_asked_for(self) -> None:
        breaker = make()
        put(breaker, share=0.3)
        assert failures(breaker, 2000) == pytest.approx(600, abs=100)

    def test_callers_retry_them_and_fall_back(self) -> None:
        breaker = make()
        put(breaker)
        options = CallOptions(
            None, 3, 0.0, circuit_breaker=breaker, fallback=Fallback(lambda: "instead")
        )
        assert ResilientCaller(sleep=lambda s: None).call(str, options) == "instead"
        assert breaker.snapshot().counts["failure"] == 3

    def test_async_calls_and_decorated_ones_are_hit(self) -> None:
        breaker = make()
        guarded = breaker(answer)
        options = CallOptions(None, 1, circuit_breaker=breaker)
        put(breaker)
        for call in (
            lambda: breaker.acall(answer),
            guarded,
            lambda: ResilientCaller().acall(answer, options),
        ):
            with pytest.raises(InjectedFault):
                asyncio.run(call())
        assert breaker.snapshot().counts["failure"] == 3


class TestLatency:
    def test_a_timeout_cuts_it_off_as_it_would_a_slow_callee(self) -> None:
        breaker = make()
        put(breaker, "latency", latency_s=30.0)
        options = CallOptions(0.05, 1, circuit_breaker=breaker)
        for call in (
            lambda: ResilientCaller().call(str, options),
            lambda: asyncio.run(ResilientCaller().acall(answer, options)),
        ):
            began = time.monotonic()
            with pytest.raises(CallTimeout):
                call()
            assert time.monotonic() - began < 15.0
        assert breaker.snapshot().counts["timeout"] == 2

    def test_it_is_part_of_the_calls_latency_and_happens_once(self) -> None:
        breaker = make()
        put(breaker, "latency", latency_s=0.05)
        options = CallOptions(5.0, 1, circuit_breaker=breaker)
        assert ResilientCaller().call(str, options) == ""
        assert 0.05 <= breaker.snapshot().sum_s < 0.099


def test_a_corrupt_result_is_found_by_the_check_of_the_result() -> None:
    breaker = make(is_failure=lambda body: body["id"] != 7)
    put(breaker, "corrupt")
    assert breaker.call(lambda: {"id": 7}) == {"id": None}
    assert asyncio.run(breaker.acall(answer)) == {"id": None}
    assert breaker.snapshot().counts["failure"] == 2


class TestItsEnd:
    def test_it_ends_by_itself_on_the_monotonic_clock(self) -> None:
        clock = FakeClock()
        breaker = make(clock=clock)
        put(breaker)
        clock.advance(59.0)
        assert failures(breaker, 1) == 1
        clock.advance(1.0)
        assert failures(breaker, 5) == 0
        assert type(breaker) is CircuitBreaker

    @pytest.mark.parametrize("fields", [{}, {"failure_threshold": 4}])
    def test_a_breaker_without_one_is_as_if_it_had_never_had_one(
        self, fields: dict[str, object]
    ) -> None:
        breaker = make()
        if fields:
            breaker.apply_policy(fields)
        put(breaker)
        faults.remove(breaker)
        assert type(breaker) is CircuitBreaker
        assert breaker._altered == bool(fields)
        assert failures(breaker, 5) == 0

    def test_a_policy_that_comes_and_goes_leaves_it_in_place(self) -> None:
        breaker = make()
        put(breaker)
        breaker.apply_policy({"retries": 2})
        breaker.apply_policy({})
        options = CallOptions(None, 1, circuit_breaker=breaker)
        with pytest.raises(InjectedFault):
            ResilientCaller().call(int, options)


def test_a_breaker_whose_rules_are_coroutines_is_hit_too() -> None:
    async def is_failure(body: object) -> bool:
        return False

    breaker = make(is_failure=is_failure)
    kind = type(breaker)
    put(breaker)
    with pytest.raises(InjectedFault):
        asyncio.run(ResilientCaller().acall(answer, CallOptions(None, 1, circuit_breaker=breaker)))
    faults.remove(breaker)
    assert type(breaker) is kind
