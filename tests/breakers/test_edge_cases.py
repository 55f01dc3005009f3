"""What happens seldom: the rarely taken branches."""

from __future__ import annotations

import asyncio
import signal
import threading
from types import FrameType

import pytest

from breakers import (
    AdaptiveLimit,
    BreakerError,
    CallTimeout,
    CircuitBreaker,
    CircuitBreakerOpen,
    CircuitForcedOpen,
    Deadline,
    ResilientCaller,
    State,
    gather,
    hedged,
    timeout,
)
from breakers.calls.coroutine_timeouts import acall_within
from breakers.calls.isolation import IsolationPool, Job
from breakers.circuit.histogram import Histogram
from breakers.circuit.states import check_transition
from breakers.circuit.windows import TimeWindow, WindowFigures
from breakers.testing import FakeClock


def test_refusals_speak_in_sentences() -> None:
    assert str(CircuitBreakerOpen("posts", 1.25)).endswith("it lets a probe pass in 1.2 s")
    assert str(CircuitBreakerOpen()) == "circuit breaker '' is open"
    assert str(CircuitForcedOpen("posts", 60.0)).endswith("by an operator for 60 s more")
    assert str(CircuitForcedOpen("posts")).endswith("by an operator")
    assert isinstance(CircuitForcedOpen("posts"), BreakerError)
    assert str(CallTimeout()) == "no answer in time"


def test_a_breaker_shows_its_name_and_state() -> None:
    breaker = CircuitBreaker()
    assert repr(breaker) == "<CircuitBreaker 'unnamed' closed>"
    assert breaker.automatic_state is State.CLOSED


def test_interleaved_blocks_leave_the_one_they_entered() -> None:
    one, two = CircuitBreaker(), CircuitBreaker()
    with one, two:
        pass
    one.__enter__()
    two.__enter__()
    one.__exit__(None, None, None)
    two.__exit__(None, None, None)
    assert (one.snapshot().in_flight, two.snapshot().in_flight) == (0, 0)


def test_interleaved_limits_too() -> None:
    one, two = AdaptiveLimit(2), AdaptiveLimit(2)
    one.__enter__()
    two.__enter__()
    one.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    two.__exit__(None, None, None)
    assert (one.in_flight, two.in_flight) == (0, 0)
    assert one.max_concurrent == 2


def test_an_illegal_transition_is_an_error() -> None:
    with pytest.raises(ValueError, match="from closed to half_open"):
        check_transition(State.CLOSED, State.HALF_OPEN)


def test_an_empty_sketch_has_no_quantiles() -> None:
    assert Histogram().quantile(0.5) is None
    with pytest.raises(ValueError, match="q is 2"):
        Histogram({1: 1}).quantile(2)


def test_an_empty_window_has_no_rates() -> None:
    assert (WindowFigures().failure_rate, WindowFigures().slow_rate) == (0.0, 0.0)
    assert (WindowFigures(4, 1, 2).failure_rate, WindowFigures(4, 1, 2).slow_rate) == (0.25, 0.5)


def test_successes_in_a_time_window_are_counted_together() -> None:
    window = TimeWindow(10.0, now=0.0)
    window.record_successes(5, now=0.1)
    assert (window.calls, window.failures) == (5, 0)


def test_a_policy_that_changes_nothing_begins_no_generation() -> None:
    breaker = CircuitBreaker()
    breaker.apply_policy({"failure_threshold": 5})
    assert breaker.policy_version == 0


def test_a_policy_can_change_while_calls_are_refused() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(1, 30, clock=clock)
    with pytest.raises(KeyError):
        breaker.call({}.__getitem__, 1)
    breaker.apply_policy({"success_threshold": 1})
    clock.advance(30)
    breaker.call(int)
    assert breaker.state is State.CLOSED


def test_backends_can_be_looked_at() -> None:
    assert (ResilientCaller().cache, ResilientCaller().metrics) == (None, None)


def test_an_interrupt_of_whoever_gathers_is_raised() -> None:
    never = threading.Event()

    def recent(number: int, frame: FrameType | None) -> None:
        raise KeyError("interrupted")

    before = signal.signal(signal.SIGALRM, recent)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        with pytest.raises(KeyError, match="interrupted"):
            gather({"never": never.wait})
    finally:
        signal.signal(signal.SIGALRM, before)
        never.set()


def test_an_ignored_alarm_that_was_there_first_stays_ignored() -> None:
    before = signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    try:
        with pytest.raises(CallTimeout), timeout(0.05):
            threading.Event().wait(30)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_call_that_ends_just_as_it_is_given_up_strands_nobody() -> None:
    pool = IsolationPool(1)
    job: Job = pool.start(int)
    assert job.done.wait(5)
    pool._abandon(job)
    assert pool.stranded == 0
    assert pool.run(int, Deadline.after(5.0)) == 0


async def test_a_timeout_needs_a_task() -> None:
    met: list[RuntimeError] = []

    def outside_of_any_task() -> None:
        try:
            acall_within(1.0, asyncio.sleep, 0).send(None)
        except RuntimeError as error:
            met.append(error)

    asyncio.get_running_loop().call_soon(outside_of_any_task)
    await asyncio.sleep(0.01)
    assert "needs a task" in str(met[0])


async def test_coroutines_are_refused_and_counted_as_functions_are() -> None:
    async def broken() -> None:
        raise KeyError

    breaker = CircuitBreaker(failure_threshold=1)
    assert await breaker.acall(asyncio.sleep, 0, "answer") == "answer"
    with pytest.raises(KeyError):
        await breaker.acall(broken)
    with pytest.raises(CircuitBreakerOpen):
        await breaker.acall(broken)
    breaker.set_override("forced_open")
    with pytest.raises(CircuitForcedOpen):
        await breaker.acall(broken)
    counts = breaker.snapshot().counts
    assert (counts["failure"], counts["rejected"]) == (1, 2)


async def test_an_async_generator_that_ends_is_a_success() -> None:
    breaker = CircuitBreaker()

    @breaker
    async def numbers():  # type: ignore[no-untyped-def]
        yield 1

    assert [n async for n in numbers()] == [1]
    assert breaker.snapshot().counts["success"] == 1


@pytest.mark.parametrize(("changes", "kept"), [(40, 40), (64, 64), (70, 64)])
def test_the_newest_changes_are_kept_for_the_agent(changes: int, kept: int) -> None:
    breaker = CircuitBreaker()
    for n in range(changes):
        breaker.set_override(("metrics_only", "forced_closed")[n % 2])
    drained = breaker.drain().transitions
    assert [record.id for record in drained] == list(range(changes - kept + 1, changes + 1))
    assert breaker.drain().transitions == ()


class TestAskingForTheState:
    def test_an_open_breaker_whose_time_is_over_says_half_open(self) -> None:
        clock = FakeClock()
        breaker = CircuitBreaker(1, 30, clock=clock)
        told: list[State] = []
        breaker.add_listener(lambda record: told.append(record.after))
        with pytest.raises(KeyError):
            breaker.call({}.__getitem__, 1)
        assert (breaker.state, breaker.automatic_state) == (State.OPEN, State.OPEN)
        clock.advance(30)
        assert (breaker.state, breaker.automatic_state) == (State.HALF_OPEN, State.HALF_OPEN)
        assert told == [State.OPEN, State.HALF_OPEN]

    def test_an_override_whose_time_is_over_is_gone(self) -> None:
        clock = FakeClock()
        breaker = CircuitBreaker(clock=clock)
        breaker.set_override("metrics_only", expires_in_s=30)
        assert breaker.state is State.METRICS_ONLY
        clock.advance(30)
        assert breaker.state is State.CLOSED


def test_results_that_a_predicate_finds_well_are_counted_like_others() -> None:
    breaker = CircuitBreaker(is_failure=lambda answer: answer is None, slow_call_duration=60.0)
    for answer in [7] * 100 + [None] * 2:
        assert breaker.call(lambda answer=answer: answer) == answer
    shot = breaker.snapshot()
    assert (shot.counts["success"], shot.counts["failure"]) == (100, 2)
    assert (shot.window.calls, shot.window.failures) == (100, 2)
    assert (sum(shot.buckets.values()), shot.in_flight) == (102, 0)


def test_what_would_be_refused_passes_where_only_measured() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(failure_threshold=1, success_threshold=2, clock=clock)
    breaker.set_override("metrics_only")
    with pytest.raises(KeyError):
        breaker.call({}.__getitem__, 1)
    breaker.call(int)
    assert breaker.automatic_state is State.OPEN
    clock.advance(61)
    breaker.call(int)
    breaker.call(int)
    assert breaker.automatic_state is State.HALF_OPEN
    breaker.call(int)
    assert breaker.automatic_state is State.CLOSED


async def test_a_hedge_that_cancels_itself_is_a_failure_like_others() -> None:
    async def quit_early() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await hedged(0.001, 2, quit_early)


async def test_an_async_generator_is_left_with_its_error() -> None:
    breaker = CircuitBreaker()

    @breaker
    async def numbers():  # type: ignore[no-untyped-def]
        yield 1
        raise KeyError

    with pytest.raises(KeyError):
        async for _ in numbers():
            pass
    assert breaker.snapshot().counts["failure"] == 1


@pytest.mark.parametrize("override", [None, "metrics_only"])
def test_a_window_beyond_a_limit_that_is_new_trips_at_the_next_call(override: str | None) -> None:
    breaker = CircuitBreaker(failure_threshold=None, minimum_calls=1)
    for n in range(10):
        if n % 2:
            breaker.call(int)
        else:
            with pytest.raises(KeyError):
                breaker.call({}.__getitem__, 1)
    breaker.set_override(override)
    breaker.apply_policy({"failure_rate_threshold": 0.25})
    breaker.call(int)
    assert breaker.automatic_state is State.OPEN


def test_a_look_between_does_not_put_off_the_call_that_completes_the_minimum() -> None:
    breaker = CircuitBreaker(failure_threshold=None, failure_rate_threshold=0.25, minimum_calls=3)
    with pytest.raises(KeyError):
        breaker.call({}.__getitem__, 1)
    breaker.call(int)
    breaker.drain()
    breaker.call(int)
    assert breaker.state is State.OPEN


def test_a_call_that_outlives_its_override_decides_nothing() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(
        failure_threshold=None, failure_rate_threshold=0.25, minimum_calls=1, clock=clock
    )
    breaker.set_override("forced_closed")
    with pytest.raises(KeyError):
        breaker.call({}.__getitem__, 1)
    breaker.set_override("metrics_only", expires_in_s=1.0)
    clock.advance(1.0)
    breaker.call(int)
    assert breaker.state is State.CLOSED
