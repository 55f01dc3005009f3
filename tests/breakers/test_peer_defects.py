"""The defects that peers' users have met, each a test that we pass.

The list is of November 2026, out of the peers' sources and threads. What concerns their consoles
is tested with the dashboard.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from breakers import (
    CallOptions,
    CallTimeout,
    CircuitBreaker,
    CircuitBreakerOpen,
    Registry,
    ResilientCaller,
    State,
)
from breakers.testing import FakeClock
from tests.breakers.peer_defects import Boom, Odd, fail, opened


class TestPybreaker:
    def test_no_lock_is_held_around_the_users_function(self) -> None:
        breaker = CircuitBreaker()
        meeting = threading.Barrier(8, timeout=5)
        crowd = [threading.Thread(target=breaker.call, args=(meeting.wait,)) for _ in range(8)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join(5)
        assert breaker.snapshot().counts["success"] == 8

    def test_nor_around_a_probe(self, clock: FakeClock) -> None:
        breaker = opened(clock, half_open_max_calls=4, success_threshold=4)
        clock.advance(30)
        meeting = threading.Barrier(4, timeout=5)
        crowd = [threading.Thread(target=breaker.call, args=(meeting.wait,)) for _ in range(4)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join(5)
        assert breaker.state is State.CLOSED

    def test_a_rate_opens_it_too_not_only_failures_in_a_row(self) -> None:
        breaker = CircuitBreaker(failure_threshold=None, failure_rate_threshold=0.5)
        for n in range(10):
            if n % 2:
                with pytest.raises(Boom):
                    breaker.call(fail)
            else:
                breaker.call(int)
        assert breaker.state is State.OPEN

    def test_an_allow_list_of_exceptions(self) -> None:
        breaker = CircuitBreaker(1, record=(Boom, OSError))
        with pytest.raises(Odd):
            breaker.call(fail, Odd)
        assert breaker.state is State.CLOSED
        with pytest.raises(OSError, match="disk"):
            breaker.call(_full_disk)
        assert breaker.state is State.OPEN

    def test_construction_needs_no_server(self) -> None:
        class Down:
            """A cache and metrics backend whose server is not there."""

            def __getattr__(self, name: str) -> Any:
                raise ConnectionRefusedError(name)

        caller = ResilientCaller(Down(), Down())
        assert caller.call(int, CallOptions(timeout=None, cache_key="k")) == 0

    def test_two_breakers_share_nothing_and_two_cannot_share_a_name(self, clock: FakeClock) -> None:
        mine = Registry()
        broken = CircuitBreaker(1, name="posts", registry=mine, clock=clock)
        other = CircuitBreaker(1, name="users", registry=mine, clock=clock)
        with pytest.raises(Boom):
            broken.call(fail)
        assert (broken.state, other.state) == (State.OPEN, State.CLOSED)
        with pytest.raises(ValueError, match="named 'posts' already"):
            CircuitBreaker(name="posts", registry=mine)

    def test_the_open_time_counts_fractions_on_a_clock_that_never_steps(
        self, clock: FakeClock
    ) -> None:
        breaker = CircuitBreaker(1, 0.25, clock=clock, open_jitter=0.0)
        with pytest.raises(Boom):
            breaker.call(fail)
        clock.advance(0.24)
        with pytest.raises(CircuitBreakerOpen):
            breaker.call(int)
        clock.advance(0.01)
        assert breaker.call(int) == 0


def _full_disk() -> None:
    raise OSError("disk full")


class TestCircuitbreaker:
    def test_counts_are_exact_without_the_caller_locking_anything(self) -> None:
        breaker = CircuitBreaker(failure_threshold=8 * 500)

        def work() -> None:
            for _ in range(500):
                with pytest.raises((Boom, CircuitBreakerOpen)):
                    breaker.call(fail)

        crowd = [threading.Thread(target=work) for _ in range(8)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join(30)
        # The very last of them is the one that opens it.
        assert breaker.snapshot().counts["failure"] == 4000
        assert breaker.state is State.OPEN

    def test_half_open_has_a_bound(self, clock: FakeClock) -> None:
        breaker = opened(clock, half_open_max_calls=2, success_threshold=10)
        clock.advance(30)
        breaker.enter(), breaker.enter()
        for _ in range(3):
            with pytest.raises(CircuitBreakerOpen):
                breaker.call(int)

    def test_one_success_does_not_hide_an_outage(self) -> None:
        breaker = CircuitBreaker(failure_threshold=5, failure_rate_threshold=0.8, minimum_calls=10)
        for n in range(10):
            if n % 5 == 4:
                breaker.call(int)
            else:
                with pytest.raises(Boom):
                    breaker.call(fail)
        assert breaker.state is State.OPEN

    def test_a_late_success_of_before_the_trip_does_not_close_it(self, clock: FakeClock) -> None:
        breaker = CircuitBreaker(1, 30, success_threshold=1, clock=clock)
        held = breaker.enter()
        with pytest.raises(Boom):
            breaker.call(fail)
        breaker.leave(*held)
        assert breaker.state is State.OPEN
        clock.advance(30)
        assert breaker.state is State.HALF_OPEN


class TestPurgatoryAndHyx:
    @pytest.mark.parametrize("step", [-86_400.0, 86_400.0])
    def test_a_wall_clock_that_steps_moves_nothing(self, clock: FakeClock, step: float) -> None:
        breaker = opened(clock)
        clock.set_wall(clock.wall() + step)
        clock.advance(29)
        with pytest.raises(CircuitBreakerOpen) as refused:
            breaker.call(int)
        assert refused.value.retry_after_s == pytest.approx(1.0)
        clock.advance(1)
        assert breaker.call(int) == 0

    @pytest.mark.parametrize("step", [-86_400.0, 86_400.0])
    def test_nor_does_it_age_a_window_or_an_override(self, clock: FakeClock, step: float) -> None:
        breaker = CircuitBreaker(
            failure_threshold=None, failure_rate_threshold=0.5, minimum_calls=4,
            window_type="time", window_size=60, clock=clock,
        )  # fmt: skip
        breaker.set_override("metrics_only", expires_in_s=60)
        for _ in range(3):
            with pytest.raises(Boom):
                breaker.call(fail)
        clock.set_wall(clock.wall() + step)
        assert breaker.state is State.METRICS_ONLY
        assert breaker.snapshot().window.failures == 3

    def test_an_interrupt_is_no_failure_of_the_callee(self, clock: FakeClock) -> None:
        breaker = CircuitBreaker(1, clock=clock)
        for kind in (KeyboardInterrupt, SystemExit, GeneratorExit):
            with pytest.raises(kind):
                breaker.call(fail, kind)  # type: ignore[arg-type]
        assert breaker.state is State.CLOSED
        assert breaker.snapshot().in_flight == 0


class TestAiobreaker:
    async def test_no_coroutine_waits_for_another(self) -> None:
        breaker = CircuitBreaker()
        meeting = asyncio.Barrier(8)
        async with asyncio.timeout(5):
            await asyncio.gather(*(breaker.acall(meeting.wait) for _ in range(8)))
        assert breaker.snapshot().counts["success"] == 8

    async def test_a_slow_cache_holds_up_no_other_coroutine(self) -> None:
        asked, go = asyncio.Event(), asyncio.Event()

        class SlowCache:
            async def get(self, key: str) -> Any:
                asked.set()
                await go.wait()

            async def set(self, key: str, value: Any, ttl: float) -> None:
                pass

        async def answer() -> int:
            return 42

        caller = ResilientCaller(SlowCache())
        held = asyncio.create_task(caller.acall(answer, CallOptions(timeout=None, cache_key="k")))
        await asyncio.wait_for(asked.wait(), 5)
        assert await caller.acall(answer, CallOptions(timeout=None)) == 42
        go.set()
        assert await held == 42


class TestTimeouts:
    def test_a_caller_is_freed_in_any_thread_whatever_the_callee_does(self) -> None:
        never, ended = threading.Event(), []

        def call() -> None:
            try:
                ResilientCaller().call(never.wait, CallOptions(timeout=0.02, retries=1))
            except CallTimeout as late:
                ended.append(late.timeout)

        thread = threading.Thread(target=call)
        thread.start()
        thread.join(5)
        never.set()
        assert ended == [0.02]
