"""What a circuit breaker does, rule by rule, on a clock turned by hand."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from breakers import (
    CallTimeout,
    CircuitBreaker,
    CircuitBreakerOpen,
    State,
)
from breakers.testing import FakeClock
from tests.breakers.circuit.failing_calls import Boom, failing, make, opened


class TestTripping:
    def test_failures_in_a_row_open_it(self, clock: FakeClock) -> None:
        breaker = make(clock)
        failing(breaker, 2)
        assert breaker.state is State.CLOSED
        failing(breaker, 1)
        assert breaker.state is State.OPEN
        assert breaker.snapshot().cause == "3 failures in a row"

    def test_a_success_between_starts_the_count_again(self, clock: FakeClock) -> None:
        breaker = make(clock)
        for _ in range(5):
            failing(breaker, 2)
            breaker.call(int)
        assert breaker.state is State.CLOSED

    def test_a_share_of_failures_opens_it_once_there_are_enough_calls(
        self, clock: FakeClock
    ) -> None:
        breaker = make(clock, failure_threshold=None, failure_rate_threshold=0.5, minimum_calls=10)
        for _ in range(4):
            failing(breaker, 1)
            breaker.call(int)
        failing(breaker, 1)
        assert breaker.state is State.CLOSED
        breaker.call(int)
        assert breaker.state is State.OPEN
        assert breaker.snapshot().cause == "50% of 10 calls failed"

    def test_the_call_that_completes_the_minimum_trips_though_it_succeeded(
        self, clock: FakeClock
    ) -> None:
        breaker = make(clock, failure_threshold=None, failure_rate_threshold=0.9, minimum_calls=10)
        failing(breaker, 9)
        breaker.call(int)
        assert breaker.state is State.OPEN

    def test_slow_calls_open_it(self, clock: FakeClock) -> None:
        breaker = make(clock, slow_call_duration=1.0, slow_call_rate_threshold=0.5, minimum_calls=4)
        for _ in range(4):
            breaker.call(clock.advance, 2.0)
        assert breaker.state is State.OPEN
        assert breaker.snapshot().counts["slow"] == 4

    def test_a_time_window_forgets(self, clock: FakeClock) -> None:
        breaker = make(
            clock,
            failure_threshold=None,
            failure_rate_threshold=0.5,
            minimum_calls=4,
            window_type="time",
            window_size=10,
        )
        failing(breaker, 3)
        clock.advance(11)
        failing(breaker, 1)
        assert breaker.snapshot().window.calls == 1
        assert breaker.state is State.CLOSED

    def test_a_count_window_forgets(self, clock: FakeClock) -> None:
        breaker = make(clock, failure_threshold=None, window_size=10)
        failing(breaker, 5)
        for _ in range(8):
            breaker.call(int)
        assert breaker.snapshot().window.failures == 2

    def test_a_returned_value_can_be_a_failure(self, clock: FakeClock) -> None:
        breaker = make(clock, is_failure=lambda answer: answer == "corrupt")
        for _ in range(3):
            assert breaker.call(lambda: "corrupt") == "corrupt"
        assert breaker.state is State.OPEN

    def test_ignored_errors_say_nothing(self, clock: FakeClock) -> None:
        breaker = make(clock, ignore=Boom)
        failing(breaker, 10)
        assert breaker.state is State.CLOSED
        assert breaker.snapshot().counts["ignored"] == 10

    def test_only_recorded_errors_count(self, clock: FakeClock) -> None:
        breaker = make(clock, record=lambda error: "transient" in str(error))
        failing(breaker, 10)
        assert breaker.state is State.CLOSED

    def test_a_timeout_is_a_failure_of_its_own_kind(self, clock: FakeClock) -> None:
        breaker = make(clock)

        def late() -> None:
            raise CallTimeout(0.5)

        for _ in range(3):
            with pytest.raises(CallTimeout):
                breaker.call(late)
        assert breaker.state is State.OPEN
        assert breaker.snapshot().counts["timeout"] == 3
        assert breaker.snapshot().counts["failure"] == 0


class TestOpen:
    def test_it_refuses_without_asking_and_says_when_to_come_back(self, clock: FakeClock) -> None:
        breaker = opened(clock)
        clock.advance(10)
        with pytest.raises(CircuitBreakerOpen) as refused:
            breaker.call(pytest.fail, "was asked")
        assert refused.value.retry_after_s == pytest.approx(20)
        assert breaker.snapshot().counts["rejected"] == 1

    def test_it_opens_longer_on_each_trip_in_a_row_up_to_a_cap(self, clock: FakeClock) -> None:
        breaker = opened(clock, open_backoff_factor=2.0, open_duration_max=100)
        waits = []
        for _ in range(4):
            wait = breaker.snapshot().retry_after_s
            assert wait is not None
            waits.append(wait)
            clock.advance(wait)
            failing(breaker, 1)
        assert waits == pytest.approx([30, 60, 100, 100])

    def test_jitter_only_shortens(self, clock: FakeClock) -> None:
        breaker = opened(clock, open_jitter=0.5, random=lambda: 1.0)
        assert breaker.snapshot().retry_after_s == pytest.approx(15)

    def test_an_outcome_from_before_the_trip_does_not_count_after_it(
        self, clock: FakeClock
    ) -> None:
        breaker = make(clock, success_threshold=1)
        ticket, start = breaker.enter()
        failing(breaker, 3)
        clock.advance(30)
        assert breaker.snapshot().state is State.HALF_OPEN
        breaker.leave(ticket, start)
        assert breaker.state is State.HALF_OPEN
        assert breaker.snapshot().counts["success"] == 1

    def test_it_recovers_on_screen_without_traffic(self, clock: FakeClock) -> None:
        # resilience4j: without traffic an open breaker never recovers on screen.
        breaker = opened(clock)
        clock.advance(30)
        assert breaker.snapshot().state is State.HALF_OPEN


class TestHalfOpen:
    def half_open(self, clock: FakeClock, **fields: Any) -> CircuitBreaker:
        breaker = opened(clock, **fields)
        clock.advance(30)
        return breaker

    def test_enough_probes_close_it(self, clock: FakeClock) -> None:
        breaker = self.half_open(clock)
        breaker.call(int)
        assert breaker.state is State.HALF_OPEN
        breaker.call(int)
        assert breaker.state is State.CLOSED

    def test_a_failed_probe_opens_it_again(self, clock: FakeClock) -> None:
        breaker = self.half_open(clock)
        breaker.call(int)
        failing(breaker, 1)
        assert breaker.state is State.OPEN

    def test_a_slow_probe_opens_it_again_where_slowness_is_a_rule(self, clock: FakeClock) -> None:
        breaker = self.half_open(clock, slow_call_duration=1.0, slow_call_rate_threshold=0.5)
        breaker.call(clock.advance, 2.0)
        assert breaker.state is State.OPEN
        assert breaker.snapshot().cause == "test call was slow"

    def test_no_more_probes_at_once_than_allowed(self, clock: FakeClock) -> None:
        # circuitbreaker, purgatory, hyx: half-open lets everything through.
        breaker = self.half_open(clock, half_open_max_calls=2)
        breaker.enter()
        breaker.enter()
        with pytest.raises(CircuitBreakerOpen):
            breaker.enter()

    def test_a_probe_that_never_returns_gives_its_permit_back(self, clock: FakeClock) -> None:
        # resilience4j: stuck half-open when a probe never returns.
        breaker = self.half_open(clock, half_open_lease=5)
        ticket, start = breaker.enter()
        clock.advance(6)
        breaker.call(int)
        breaker.leave(ticket, start)
        assert breaker.state is State.HALF_OPEN, "a result past its lease does not count"

    def test_a_cancelled_probe_gives_its_permit_back_at_once(self, clock: FakeClock) -> None:
        breaker = self.half_open(clock)

        async def hang() -> None:
            await asyncio.Event().wait()

        async def main() -> None:
            probe = asyncio.create_task(breaker.acall(hang))
            await asyncio.sleep(0)
            probe.cancel()
            with pytest.raises(asyncio.CancelledError):
                await probe

        asyncio.run(main())
        assert breaker.state is State.HALF_OPEN
        breaker.call(int)
        counts = breaker.snapshot().counts
        assert (counts["success"], counts["failure"]) == (1, 3)

    def test_an_ignored_error_gives_the_permit_back_and_decides_nothing(
        self, clock: FakeClock
    ) -> None:
        breaker = self.half_open(clock, ignore=ZeroDivisionError)
        with pytest.raises(ZeroDivisionError):
            breaker.call(lambda: 1 // 0)
        assert breaker.state is State.HALF_OPEN
        breaker.call(int)
