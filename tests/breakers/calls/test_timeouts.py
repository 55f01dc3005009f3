"""A sync call is bounded: interrupted in the main thread, isolated elsewhere."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from breakers import CallTimeout, IsolationExhausted, current_deadline, timeout
from breakers.calls.coroutine_timeouts import acall_within
from breakers.calls.isolation import IsolationPool
from breakers.calls.thread_timeouts import call_within
from breakers.deadline import Deadline

LONG = 30.0


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    yield
    assert current_deadline() is None
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def in_a_thread(func: Any) -> Any:
    """What `func` returns or raises in another thread than the main one."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(func())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    (only,) = outcome
    if isinstance(only, BaseException):
        raise only
    return only


class TestInterruption:
    def test_fractions_of_a_second_count(self) -> None:
        with pytest.raises(CallTimeout) as error, timeout(0.02):
            time.sleep(LONG)
        assert error.value.timeout == 0.02

    def test_a_loop_that_never_sleeps_is_interrupted_too(self) -> None:
        with pytest.raises(CallTimeout), timeout(0.02):
            while True:
                pass

    def test_what_is_in_time_is_left_alone(self) -> None:
        with timeout(LONG) as deadline:
            assert 0 < deadline.remaining() <= LONG

    @pytest.mark.parametrize("attempt", range(50))
    def test_a_time_that_is_up_at_once_leaves_nothing_behind(self, attempt: int) -> None:
        with pytest.raises(CallTimeout), timeout(1e-6):
            time.sleep(LONG)

    def test_the_earlier_of_nested_deadlines_wins(self) -> None:
        with pytest.raises(CallTimeout) as error, timeout(0.02), timeout(LONG):
            time.sleep(LONG)
        assert error.value.timeout == 0.02

    def test_the_outer_one_goes_on_after_the_inner_one(self) -> None:
        with pytest.raises(CallTimeout) as outer, timeout(0.1):
            with pytest.raises(CallTimeout) as inner, timeout(0.01):
                time.sleep(LONG)
            assert inner.value.timeout == 0.01
            time.sleep(LONG)
        assert outer.value.timeout == 0.1

    def test_who_swallows_the_interruption_is_late_all_the_same(self) -> None:
        with pytest.raises(CallTimeout), timeout(0.01), suppress(Exception):
            time.sleep(LONG)

    def test_an_error_of_the_callee_is_its_own(self) -> None:
        with pytest.raises(KeyError), timeout(LONG):
            raise KeyError

    @pytest.mark.parametrize("seconds", [0, -1, float("nan")])
    def test_no_time_at_all_is_refused(self, seconds: float) -> None:
        with pytest.raises(ValueError, match="above 0"):
            timeout(seconds)

    def test_somebody_elses_alarm_rings_on_time_and_is_handed_back(self) -> None:
        rang: list[str] = []
        signal.signal(signal.SIGALRM, lambda *_: rang.append("theirs"))
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            with timeout(LONG):
                while not rang:
                    time.sleep(0.01)
            signal.setitimer(signal.ITIMER_REAL, LONG, 5.0)
            with timeout(LONG * 2):
                pass
            left, interval = signal.setitimer(signal.ITIMER_REAL, 0)
            assert LONG - 5 < left <= LONG
            assert interval == 5.0
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)


class TestElsewhere:
    def test_a_block_in_a_thread_is_late_when_it_ends_late(self) -> None:
        def block() -> None:
            with timeout(0.01):
                time.sleep(0.03)

        with pytest.raises(CallTimeout):
            in_a_thread(block)

    def test_a_call_in_a_thread_frees_its_caller(self) -> None:
        release = threading.Event()
        with pytest.raises(CallTimeout):
            in_a_thread(lambda: call_within(0.02, "auto", release.wait, LONG))
        release.set()

    def test_an_isolated_callee_sees_the_deadline(self) -> None:
        deadline = call_within(LONG, "thread", current_deadline)
        assert deadline is not None
        assert deadline.budget == LONG

    def test_cooperation_interrupts_nobody_and_is_late_when_it_is(self) -> None:
        assert call_within(LONG, "cooperative", int) == 0
        began = time.monotonic()
        with pytest.raises(CallTimeout):
            call_within(0.01, "cooperative", time.sleep, 0.05)
        assert time.monotonic() - began >= 0.05


class TestIsolation:
    def test_it_returns_and_raises_what_the_call_does(self) -> None:
        pool = IsolationPool(1)
        assert pool.run(lambda: 42, Deadline.after(LONG)) == 42
        with pytest.raises(ZeroDivisionError):
            pool.run(lambda: 1 // 0, Deadline.after(LONG))

    def test_threads_are_used_again(self) -> None:
        pool = IsolationPool(1)
        names = {
            pool.run(lambda: threading.current_thread().ident, Deadline.after(LONG))
            for _ in range(20)
        }
        assert len(names) == 1

    def test_calls_that_never_return_strand_so_many_threads_and_no_more(self) -> None:
        pool = IsolationPool(2)
        release = threading.Event()
        for _ in range(2):
            with pytest.raises(CallTimeout):
                pool.run(release.wait, Deadline.after(0.01))
        assert pool.stranded == 2
        with pytest.raises(IsolationExhausted, match="2 of them"):
            pool.run(int, Deadline.after(LONG))
        release.set()
        until = time.monotonic() + 10
        while pool.stranded and time.monotonic() < until:
            time.sleep(0.005)
        assert pool.stranded == 0
        assert pool.run(int, Deadline.after(LONG)) == 0

    def test_a_child_has_threads_of_its_own(self) -> None:
        call_within(LONG, "thread", int)
        pid = os.fork()
        if pid == 0:
            try:
                os._exit(0 if call_within(LONG, "thread", lambda: 7) == 7 else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

    def test_it_has_at_least_one_thread(self) -> None:
        with pytest.raises(ValueError, match="whole number from 1"):
            IsolationPool(0)

    def test_where_no_thread_can_be_started_it_says_so(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(self: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        pool = IsolationPool(1)
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            with pytest.raises(IsolationExhausted, match="can't start"):
                pool.run(int, Deadline.after(LONG))
        assert pool.run(int, Deadline.after(LONG)) == 0


class TestCoroutines:
    async def late(self, func: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            await acall_within(0.01, func)
        finally:
            assert task.cancelling() == 0, "the cancellation was taken back"

    async def test_a_late_one_is_cut_off(self) -> None:
        with pytest.raises(CallTimeout) as error:
            await self.late(lambda: asyncio.sleep(LONG))
        assert error.value.timeout == 0.01

    async def test_who_swallows_the_cancellation_is_late_all_the_same(self) -> None:
        async def stubborn() -> str:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(LONG)
            return "late"

        with pytest.raises(CallTimeout):
            await self.late(stubborn)

    async def test_an_error_while_being_cut_off_is_the_callees(self) -> None:
        async def clumsy() -> None:
            try:
                await asyncio.sleep(LONG)
            finally:
                raise KeyError

        with pytest.raises(KeyError):
            await self.late(clumsy)

    async def test_somebody_elses_cancellation_wins_over_ours(self) -> None:
        async def cancelled_meanwhile() -> None:
            try:
                await asyncio.sleep(LONG)
            finally:
                asyncio.current_task().cancel()  # type: ignore[union-attr]

        task = asyncio.create_task(acall_within(0.01, cancelled_meanwhile))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    async def test_the_earlier_of_nested_deadlines_wins(self) -> None:
        async def inner() -> None:
            await acall_within(LONG, asyncio.sleep, LONG)

        with pytest.raises(CallTimeout) as error:
            await acall_within(0.01, inner)
        assert error.value.timeout == 0.01

    async def test_the_timer_is_put_away(self) -> None:
        assert await acall_within(LONG, asyncio.sleep, 0, "answer") == "answer"
        assert current_deadline() is None

    def test_without_a_task_there_is_nothing_to_cancel(self) -> None:
        call = acall_within(1.0, asyncio.sleep, 0)
        with pytest.raises(RuntimeError):
            call.send(None)


class TestAsyncBlocks:
    async def test_what_is_awaited_is_cancelled(self) -> None:
        with pytest.raises(CallTimeout) as error:
            async with timeout(0.01) as deadline:
                assert current_deadline() is deadline
                await asyncio.sleep(LONG)
        assert error.value.timeout == 0.01

    async def test_what_is_in_time_is_left_alone(self) -> None:
        block = timeout(LONG)
        for _ in range(2):
            async with block:
                await asyncio.sleep(0)

    async def test_an_object_is_entered_once_at_a_time(self) -> None:
        block = timeout(LONG)
        async with block:
            with pytest.raises(RuntimeError, match="entered already"):
                await block.__aenter__()

    async def test_an_error_in_time_is_the_blocks(self) -> None:
        with pytest.raises(KeyError):
            async with timeout(LONG):
                raise KeyError

    async def test_a_cancellation_from_outside_stays_one(self) -> None:
        async def wait() -> None:
            async with timeout(LONG):
                await asyncio.sleep(LONG)

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    def test_without_a_task_there_is_nothing_to_cancel(self) -> None:
        block = timeout(LONG)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="event loop"):
                block.__aenter__().send(None)
