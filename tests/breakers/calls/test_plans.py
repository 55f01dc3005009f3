"""What the compiled plan of a call must keep: the deadline that the callee reads, its end, errors,
and nested calls; by the C extension and in plain Python alike."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from breakers import CallOptions, CircuitBreaker, ResilientCaller, current_deadline, remaining
from breakers.calls import coroutine_timeouts, thread_timeouts
from breakers.circuit import admission
from breakers.deadline import _current, bounded
from breakers.errors import CallTimeout

LONG = 60.0
caller = ResilientCaller()


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "plain":
        monkeypatch.setattr(thread_timeouts, "TimeLimit", None)
        monkeypatch.setattr(coroutine_timeouts.compiled, "TaskLimit", None)
    elif not admission.COMPILED:
        pytest.skip("the extension is not built")


def options(**fields: Any) -> CallOptions:
    given: dict[str, Any] = {"timeout": LONG, "retries": 1, "strategy": "cooperative"}
    return CallOptions(**{**given, **fields})


def behind_a_breaker(**fields: Any) -> CallOptions:
    return options(circuit_breaker=CircuitBreaker(registry=None), **fields)


@pytest.mark.parametrize("make", [options, behind_a_breaker])
class TestSyncCalls:
    def test_the_callee_reads_its_deadline_which_ends_with_it(
        self, make: Callable[..., CallOptions]
    ) -> None:
        seen = caller.call(current_deadline, make())
        assert seen is not None
        assert 0 < seen.remaining() <= seen.budget == LONG
        assert seen.is_over
        assert current_deadline() is None

    def test_a_late_result_is_a_timeout(self, make: Callable[..., CallOptions]) -> None:
        with pytest.raises(CallTimeout, match=r"0\.001"):
            caller.call(time.sleep, make(timeout=0.001), 0.005)
        assert current_deadline() is None

    def test_errors_arguments_and_keywords_pass(self, make: Callable[..., CallOptions]) -> None:
        assert caller.call(int, make(), "12", base=8) == 10
        with pytest.raises(ValueError, match="none"):
            caller.call(int, make(), "none")
        assert current_deadline() is None

    def test_an_enclosing_deadline_that_is_earlier_counts(
        self, make: Callable[..., CallOptions]
    ) -> None:
        with bounded(5.0):
            seen = caller.call(current_deadline, make())
        assert seen is not None
        assert seen.budget == 5.0

    def test_past_the_enclosing_deadline_nothing_is_called(
        self, make: Callable[..., CallOptions]
    ) -> None:
        called: list[int] = []
        with bounded(0.001):
            time.sleep(0.005)
            for timeout in (LONG, None):
                with pytest.raises(CallTimeout):
                    caller.call(called.append, make(timeout=timeout), 1)
        assert not called

    def test_without_a_timeout_the_enclosing_deadline_is_the_timeout(
        self, make: Callable[..., CallOptions]
    ) -> None:
        with bounded(0.01), pytest.raises(CallTimeout):
            caller.call(time.sleep, make(timeout=None), 0.02)

    def test_a_thread_that_the_callee_starts_is_free_of_the_deadline_afterwards(
        self, make: Callable[..., CallOptions]
    ) -> None:
        contexts = [caller.call(contextvars.copy_context, make())]
        assert contexts[0].run(remaining) is None


class TestAsyncCalls:
    def test_the_callee_reads_its_deadline_which_ends_with_it(self) -> None:
        async def main() -> None:
            for _ in range(3):
                seen = await caller.acall(read, behind_a_breaker())
                assert seen.budget == LONG
                assert seen.is_over
                assert current_deadline() is None

        async def read() -> Any:
            return current_deadline()

        asyncio.run(main())

    def test_calls_side_by_side_time_out_each_on_its_own(self) -> None:
        async def main() -> None:
            short, long = behind_a_breaker(timeout=0.02), behind_a_breaker(timeout=LONG)
            calls = [caller.acall(asyncio.sleep, long, 0.05, n) for n in range(3)]
            calls += [caller.acall(asyncio.sleep, short, LONG) for _ in range(3)]
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert results[:3] == [0, 1, 2]
            assert all(isinstance(each, CallTimeout) for each in results[3:])
            timers = coroutine_timeouts._local.timers
            assert timers is not None
            assert not timers.running

        asyncio.run(main())

    def test_a_swallowed_cancellation_is_late_all_the_same(self) -> None:
        async def stubborn() -> str:
            try:
                await asyncio.sleep(LONG)
            except asyncio.CancelledError:
                return "late"
            return "never"

        async def main() -> None:
            await caller.acall(asyncio.sleep, options(), 0)
            with pytest.raises(CallTimeout):
                await caller.acall(stubborn, options(timeout=0.01))
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0

        asyncio.run(main())

    def test_a_cancellation_from_outside_stays_one(self) -> None:
        async def main() -> None:
            await caller.acall(asyncio.sleep, options(), 0)
            task = asyncio.create_task(caller.acall(asyncio.sleep, options(), LONG))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())

    def test_one_call_inside_another_through_one_breaker_is_counted_once(self) -> None:
        posts = CircuitBreaker(registry=None)
        given = options(circuit_breaker=posts)

        async def outer() -> None:
            await caller.acall(asyncio.sleep, given, 0)

        asyncio.run(caller.acall(outer, given))
        assert posts.snapshot().counts["success"] == 1

    def test_a_loop_that_moves_to_another_thread_keeps_its_own_timeouts(self) -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(caller.acall(asyncio.sleep, options(), 0))
        seen: list[object] = []

        async def moved() -> None:
            await caller.acall(asyncio.sleep, options(timeout=5.0), 0)
            with pytest.raises(CallTimeout):
                await caller.acall(asyncio.sleep, options(timeout=0.05), LONG)
            seen.append("other thread")

        async def stays() -> None:
            for _ in range(5):
                await caller.acall(asyncio.sleep, options(timeout=5.0), 0.01)

        thread = threading.Thread(target=loop.run_until_complete, args=(moved(),))
        thread.start()
        asyncio.run(stays())
        thread.join(10)
        loop.close()
        assert seen == ["other thread"]
        assert _current.get() is None

    def test_trio_is_told_from_a_loop_that_ran_here_before(self) -> None:
        trio = pytest.importorskip("trio")

        async def main() -> None:
            with pytest.raises(CallTimeout):
                await caller.acall(trio.sleep, options(timeout=0.01), LONG)

        asyncio.run(caller.acall(asyncio.sleep, options(), 0))
        trio.run(main)


@pytest.mark.skipif(not admission.COMPILED, reason="the extension is not built")
def test_the_compiled_limits_refuse_what_they_cannot_use() -> None:
    class Other:
        pass

    compiled: Any = admission
    for kind, given in ((compiled.TimeLimit, (CallTimeout,)), (compiled.TaskLimit, (int, int, 0))):
        if kind is None:
            continue
        with pytest.raises(TypeError, match="has no slot at"):
            kind(1.0, Other, _current, *given)
        with pytest.raises(TypeError):
            kind("soon", Other, _current, *given)
    limit = compiled.TimeLimit(1.0, thread_timeouts.Deadline, _current, CallTimeout)
    for bad in ((int,), (int, [], {}), (int, (), None)):
        with pytest.raises(TypeError, match="its args and its kwargs"):
            limit.run(*bad)
