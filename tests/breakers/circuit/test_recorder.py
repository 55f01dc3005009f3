"""The flight recorder: the last calls of a breaker, in both implementations.

tests/breakers/test_pure_python.py runs this suite over plain Python too.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections import deque
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakers import CallOptions, CircuitBreaker, CircuitBreakerOpen, ResilientCaller
from breakers.circuit.recorder import ENTRY, RECORDED_CALLS
from breakers.circuit.trip_calls import unpacked
from breakers.testing import FakeClock


def breaker_of(clock: FakeClock | None = None, **fields: Any) -> CircuitBreaker:
    return CircuitBreaker(registry=None, clock=clock or FakeClock(), **fields)


def one(breaker: CircuitBreaker, clock: FakeClock, seconds: float, fails: bool = False) -> None:
    def work() -> None:
        clock.advance(seconds)
        if fails:
            raise OSError

    with suppress(OSError):
        breaker.call(work)


def outcomes(breaker: CircuitBreaker) -> list[str]:
    return [call.outcome for call in breaker.recorded_calls()]


def test_a_call_has_its_start_its_outcome_and_its_latency() -> None:
    clock = FakeClock()
    breaker = breaker_of(clock, failure_threshold=9)
    began = clock.monotonic()
    one(breaker, clock, 0.25)
    one(breaker, clock, 0.5, fails=True)
    first, second = breaker.recorded_calls()
    assert (first.start, first.outcome) == (pytest.approx(began, abs=1e-6), "success")
    assert first.latency_s == pytest.approx(0.25, abs=1e-6)
    assert (second.start, second.outcome) == (pytest.approx(began + 0.25, abs=1e-6), "failure")
    assert second.latency_s == pytest.approx(0.5, abs=1e-6)


@given(n=st.integers(0, 3 * RECORDED_CALLS))
def test_the_last_256_calls_are_kept_in_the_order_in_which_they_ended(n: int) -> None:
    clock = FakeClock()
    breaker = breaker_of(clock)
    for number in range(n):
        ticket, start = breaker.enter()
        breaker.leave(ticket, start - number / 1000)
    kept = [round(call.latency_s * 1000) for call in breaker.recorded_calls()]
    assert kept == list(deque(range(n), RECORDED_CALLS))


@pytest.mark.parametrize("ways", ["ignored", "cancelled", "timeout"])
def test_other_outcomes_are_recorded_by_name(ways: str) -> None:
    breaker = breaker_of(ignore=KeyError)
    error: type[BaseException] = {
        "ignored": KeyError,
        "cancelled": asyncio.CancelledError,
        "timeout": TimeoutError,
    }[ways]
    ticket, start = breaker.enter()
    breaker.leave(ticket, start, error())
    assert outcomes(breaker) == ["failure" if ways == "timeout" else ways]


def test_what_is_no_call_is_not_recorded() -> None:
    breaker = breaker_of(failure_threshold=1)

    async def work() -> None:
        pass

    breaker.call(work).close()
    breaker.call(breaker.call, int)  # nested: part of the outer call
    assert outcomes(breaker) == ["success"]
    breaker.trip()
    with suppress(CircuitBreakerOpen):
        breaker.call(int)
    assert outcomes(breaker) == ["success"]


@pytest.mark.parametrize("seconds", [-1.0, 1e12, float("nan"), float("inf")])
def test_impossible_times_neither_fail_nor_overflow(seconds: float) -> None:
    breaker = breaker_of()
    breaker._record_call(seconds, seconds, 0)
    (call,) = breaker.recorded_calls()
    assert 0.0 <= call.latency_s < 4295
    assert abs(call.start) <= 1e6


def test_the_number_of_a_retried_attempt_is_recorded() -> None:
    breaker = breaker_of(failure_threshold=9)
    caller = ResilientCaller(sleep=lambda seconds: None)
    left = [OSError(), OSError()]

    def work() -> None:
        if left:
            raise left.pop()

    options = CallOptions(timeout=None, retries=3, retry_delay=0.0, circuit_breaker=breaker)
    caller.call(work, options)
    caller.call(work, options)
    found = [(call.outcome, call.attempt) for call in breaker.recorded_calls()]
    assert found == [("failure", 1), ("failure", 2), ("success", 3), ("success", 1)]


def test_retries_within_a_retry_through_another_breaker_keep_both_numbers() -> None:
    outer, inner = breaker_of(failure_threshold=9), breaker_of(failure_threshold=9)
    caller = ResilientCaller(sleep=lambda seconds: None)
    left = {"inner": [OSError(), OSError()], "outer": [OSError()]}

    def within() -> None:
        if left["inner"]:
            raise left["inner"].pop()

    def work() -> None:
        if left["outer"]:
            raise left["outer"].pop()
        caller.call(within, options_of(inner))

    def options_of(breaker: CircuitBreaker) -> CallOptions:
        return CallOptions(timeout=None, retries=3, retry_delay=0.0, circuit_breaker=breaker)

    caller.call(work, options_of(outer))
    assert [call.attempt for call in inner.recorded_calls()] == [1, 2, 3]
    assert [call.attempt for call in outer.recorded_calls()] == [1, 2]
    caller.call(work, options_of(outer))
    assert outer.recorded_calls()[-1].attempt == 1


def test_a_finaliser_may_end_the_recording_while_a_retried_call_is_recorded() -> None:
    """The collector may run wherever an object is made, also in the middle of recording."""
    breaker = breaker_of(failure_threshold=None)

    class Ends:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            breaker.stop_recording()
            breaker.start_recording(1024)

    def work() -> None:
        Ends()
        raise OSError

    caller = ResilientCaller(sleep=lambda seconds: None)
    options = CallOptions(timeout=None, retries=3, retry_delay=0.0, circuit_breaker=breaker)
    before = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        for _ in range(50):
            with suppress(OSError):
                caller.call(work, options)
    finally:
        gc.set_threshold(*before)
    attempts = {call.attempt for call in breaker.recorded_calls()}
    assert attempts <= {1, 2, 3}


def test_attempts_of_tasks_side_by_side_keep_their_numbers() -> None:
    breaker = breaker_of(failure_threshold=None)

    async def work(failures: list[Exception]) -> None:
        await asyncio.sleep(0)
        if failures:
            raise failures.pop()

    async def main() -> None:
        caller = ResilientCaller(asleep=lambda seconds: asyncio.sleep(0))
        options = CallOptions(timeout=None, retries=3, retry_delay=0.0, circuit_breaker=breaker)
        await asyncio.gather(
            *(caller.acall(work, options, [OSError()] * n) for n in (0, 1, 2, 0, 1))
        )

    asyncio.run(main())
    attempts = sorted(call.attempt for call in breaker.recorded_calls())
    assert attempts == [1, 1, 1, 1, 1, 2, 2, 2, 3]


def test_a_refused_attempt_leaves_no_number_behind() -> None:
    clock = FakeClock()
    breaker = breaker_of(clock, timeout_duration=5)
    breaker._note_attempt(2)
    breaker.trip()
    with suppress(CircuitBreakerOpen):
        breaker.call(int)
    clock.advance(6)
    breaker.call(int)
    assert [call.attempt for call in breaker.recorded_calls()] == [1]


def test_the_calls_that_opened_a_breaker_are_kept_until_they_are_taken_once() -> None:
    clock = FakeClock()
    breaker = breaker_of(clock, failure_threshold=3, timeout_duration=1)
    one(breaker, clock, 0.1)
    for _ in range(3):
        one(breaker, clock, 0.1, fails=True)
    clock.advance(2)
    one(breaker, clock, 0.1, fails=True)  # a probe: it trips again, within ten seconds
    trip = breaker.take_trip()
    assert trip is not None
    assert trip.cause == "3 failures in a row"
    assert trip.first == 0
    assert [outcome for _, outcome, _, _ in unpacked(trip.entries)] == [0, 1, 1, 1]
    assert breaker.take_trip() is None


def test_a_breaker_that_is_opened_by_hand_keeps_no_calls() -> None:
    breaker = breaker_of()
    breaker.call(int)
    breaker.trip()
    assert breaker.take_trip() is None


def test_a_recording_keeps_more_calls_and_those_that_are_refused() -> None:
    clock = FakeClock()
    breaker = breaker_of(clock, failure_threshold=1)
    for _ in range(300):
        one(breaker, clock, 0.001)
    breaker.start_recording(1024)
    first, entries = breaker.read_calls(300)
    assert (first, entries) == (300, b"")
    for _ in range(700):
        one(breaker, clock, 0.001)
    one(breaker, clock, 0.001, fails=True)
    with suppress(CircuitBreakerOpen):
        breaker.call(int)
    first, entries = breaker.read_calls(300)
    assert first == 300
    assert len(entries) == 702 * ENTRY.size
    assert outcomes(breaker)[-2:] == ["failure", "rejected"]
    assert len(outcomes(breaker)) == RECORDED_CALLS + 702
    breaker.stop_recording()
    assert len(outcomes(breaker)) == RECORDED_CALLS
    assert breaker.read_calls(0)[0] == 1002 - RECORDED_CALLS


@pytest.mark.parametrize("capacity", [0, -1, 3, 65_537, 131_072])
def test_a_recorder_has_a_bound(capacity: int) -> None:
    breaker = breaker_of()
    with pytest.raises(ValueError, match="power of two"):
        breaker.start_recording(capacity)
    with suppress(CircuitBreakerOpen):
        breaker.call(int)
    assert not breaker._records_refusals


def test_threads_lose_no_call() -> None:
    breaker = breaker_of()
    breaker.start_recording(8192)

    def work() -> None:
        for _ in range(1000):
            breaker.call(int)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert outcomes(breaker) == ["success"] * 4000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_begins_with_an_empty_recorder() -> None:
    breaker = CircuitBreaker(registry=None)
    breaker.call(int)
    pid = os.fork()
    if pid == 0:
        os._exit(len(breaker.recorded_calls()))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert outcomes(breaker) == ["success"]
