"""Interrupted, cancelled and late calls leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from breakers import (
    CallInterrupted,
    CallOptions,
    CallTimeout,
    CircuitBreaker,
    IsolationExhausted,
    PolicyError,
    ResilientCaller,
    State,
    remaining,
    timeout,
)
from breakers.calls.alarms import SignalAlarm
from breakers.calls.isolation import IsolationPool
from breakers.circuit import admission
from breakers.deadline import Deadline
from tests.breakers.boom import Boom, fail


class TestABlockInACoroutine:
    """An alarm that rings while the block's task awaits would hit whoever runs then."""

    def test_the_loop_is_left_alone_and_the_block_is_late(self) -> None:
        async def main() -> None:
            with timeout(0.02):
                await asyncio.sleep(0.05)

        with pytest.raises(CallTimeout):
            asyncio.run(main())

    def test_so_are_other_tasks(self) -> None:
        seen: list[str] = []

        async def busy() -> None:
            clock = asyncio.get_running_loop().time
            end = clock() + 0.06
            while clock() < end:
                pass
            seen.append("undisturbed")

        async def guarded() -> None:
            try:
                with timeout(0.02):
                    await asyncio.sleep(0.08)
            except CallTimeout:
                seen.append("late")

        async def main() -> None:
            await asyncio.gather(guarded(), busy())

        asyncio.run(main())
        assert seen == ["undisturbed", "late"]

    def test_what_does_not_await_is_interrupted(self) -> None:
        async def main() -> None:
            with timeout(0.02):
                threading.Event().wait(30)

        with pytest.raises(CallTimeout):
            asyncio.run(main())


def test_one_timeout_bounds_block_after_block_but_not_two_at_once() -> None:
    bound = timeout(5.0)
    for _ in range(2):
        with bound:
            pass
    with bound, pytest.raises(RuntimeError, match="entered already"), bound:
        pass
    assert remaining() is None


def test_where_no_thread_was_free_the_callee_did_not_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, never, breaker = IsolationPool(1), threading.Event(), CircuitBreaker(1)
    monkeypatch.setattr("breakers.calls.thread_timeouts.isolation", pool)
    pool.start(never.wait)
    options = CallOptions(timeout=1.0, retries=1, circuit_breaker=breaker, strategy="thread")
    with pytest.raises(IsolationExhausted):
        ResilientCaller().call(int, options)
    never.set()
    counts = breaker.snapshot().counts
    assert (breaker.state, counts["failure"], counts["ignored"]) == (State.CLOSED, 0, 1)


@pytest.mark.parametrize("name", [5, b"posts", ["posts"], "x" * 121, "two\nlines"])
def test_a_name_that_no_wire_can_carry_is_refused(name: Any) -> None:
    with pytest.raises(PolicyError, match="1 to 120 visible characters"):
        CircuitBreaker(name=name, registry=None)


async def test_two_deadlines_that_end_at_the_same_moment_leave_no_cancellation_behind() -> None:
    caller, options = ResilientCaller(), CallOptions(timeout=0.01, retries=1)

    async def slow() -> None:
        await asyncio.sleep(30)

    async def outer() -> None:
        await caller.acall(slow, options)

    with pytest.raises(CallTimeout):
        await caller.acall(outer, options)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_cancelled_hedge_leaves_no_task_behind() -> None:
    options = CallOptions(timeout=5.0, hedge_delay=0.0, hedge_attempts=3)
    hedge = asyncio.create_task(ResilientCaller().acall(asyncio.Event().wait, options))
    while len(asyncio.all_tasks()) < 5:
        await asyncio.sleep(0)
    hedge.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hedge
    assert len(asyncio.all_tasks()) == 1


class TestRulesThatFail:
    """The caller hears of it, and the call is over for the breaker: nothing stays held."""

    def half_open(self, **rules: Any) -> CircuitBreaker:
        breaker = CircuitBreaker(**rules)
        breaker.set_override("forced_open")
        breaker.set_override(None)
        assert breaker.state is State.HALF_OPEN
        return breaker

    def test_a_result_predicate(self) -> None:
        breaker = self.half_open(is_failure=lambda answer: answer > 0)
        for _ in range(2):
            with pytest.raises(TypeError):
                breaker.call(str)
        assert breaker.snapshot().in_flight == 0

    @pytest.mark.parametrize("rule", ["record", "ignore"])
    def test_a_rule_of_errors(self, rule: str) -> None:
        breaker = self.half_open(**{rule: lambda error: error.no_such_thing})
        for _ in range(2):
            with pytest.raises(AttributeError):
                breaker.call(fail)
        assert breaker.snapshot().in_flight == 0


def test_an_alarm_does_not_ring_into_the_middle_of_counting() -> None:
    interrupted: list[str] = []

    def asked_for_jitter() -> float:
        frame = sys._getframe(1)
        alarm = bound._alarm
        assert isinstance(alarm, SignalAlarm)
        while bound._deadline.remaining() > 0:
            time.sleep(0.005)
        try:
            alarm._ring(signal.SIGALRM, frame)
        except CallInterrupted:
            interrupted.append(frame.f_code.co_name)
        return 0.0

    breaker = CircuitBreaker(1, random=asked_for_jitter)
    bound = timeout(0.3)
    with pytest.raises(CallTimeout), bound:
        signal.setitimer(signal.ITIMER_REAL, 0)
        with pytest.raises(Boom):
            breaker.call(fail)
        # Once that is done, it rings again.
        threading.Event().wait(30)
    assert interrupted == []
    assert breaker.state is State.OPEN


@pytest.mark.parametrize("way", ["call", "decorated", "block", "caller"])
def test_a_callee_that_is_written_in_c_is_interrupted_on_every_way_in(way: str) -> None:
    breaker, sleep = CircuitBreaker(), time.sleep
    with pytest.raises(CallTimeout):
        if way == "caller":
            options = CallOptions(timeout=0.02, retries=1, circuit_breaker=breaker)
            ResilientCaller().call(sleep, options, 30)
        with timeout(0.02):
            if way == "call":
                breaker.call(sleep, 30)
            elif way == "decorated":
                breaker(sleep)(30)
            else:
                with breaker:
                    sleep(30)
    assert breaker.snapshot().counts["timeout"] == 1
    assert breaker.snapshot().in_flight == 0


def test_a_ring_on_the_way_into_a_block_comes_again() -> None:
    """The way in looks whether it rang, then returns: a ring between the two was lost for good."""
    alarm = SignalAlarm(Deadline.after(1e-6))
    time.sleep(0.001)
    before = signal.getsignal(signal.SIGALRM)
    entering = SimpleNamespace(f_code=timeout.__enter__.__code__)
    alarm._handler = before
    try:
        alarm._ring(signal.SIGALRM, entering)  # type: ignore[arg-type]
        assert alarm.rang
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    finally:
        alarm.disarm()
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


@pytest.mark.skipif(
    not admission.COMPILED, reason="plain Python may lose the end of a call to an alarm"
)
def test_a_storm_of_alarms_leaves_no_call_open_and_no_lock_held() -> None:
    breaker = CircuitBreaker(failure_threshold=None)

    def work(n: int) -> int:
        if n % 5 == 0:
            raise Boom
        return sum(range(n))

    late = 0
    for n in range(150):
        try:
            with timeout(0.0002 + n % 10 * 0.0001):
                while True:
                    with contextlib.suppress(Boom):
                        breaker.call(work, n % 50)
        except CallTimeout:
            late += 1
    shot = breaker.snapshot()
    assert (late, shot.in_flight, breaker._guard.is_busy) == (150, 0, False)
    ended = (shot.counts[name] for name in ("success", "failure", "timeout", "ignored"))
    assert sum(ended) == sum(shot.buckets.values())
