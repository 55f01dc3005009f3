"""What a circuit breaker does, rule by rule, on a clock turned by hand."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from breakers import (
    CallTimeout,
    CircuitBreaker,
    CircuitBreakerOpen,
    CircuitForcedOpen,
    PolicyError,
    Registry,
    RegistryFull,
    State,
    TransitionRecord,
)
from breakers.testing import FakeClock


class Boom(Exception):
    pass


def fail() -> None:
    raise Boom


def make(clock: FakeClock, **fields: Any) -> CircuitBreaker:
    fields.setdefault("failure_threshold", 3)
    fields.setdefault("timeout_duration", 30)
    fields.setdefault("open_jitter", 0.0)
    return CircuitBreaker(clock=clock, **fields)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def failing(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        with pytest.raises(Boom):
            breaker.call(fail)


def opened(clock: FakeClock, **fields: Any) -> CircuitBreaker:
    breaker = make(clock, **fields)
    failing(breaker, 3)
    assert breaker.state is State.OPEN
    return breaker


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
        assert breaker.snapshot().cause == "probe was slow"

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


class TestOverrides:
    def test_forced_open_refuses_everything_as_forced(self, clock: FakeClock) -> None:
        breaker = make(clock)
        breaker.set_override("forced_open", expires_in_s=60)
        with pytest.raises(CircuitForcedOpen) as refused:
            breaker.call(int)
        assert refused.value.retry_after_s == pytest.approx(60)
        assert breaker.state is State.FORCED_OPEN

    def test_forced_open_stays_whatever_the_timers_say(self, clock: FakeClock) -> None:
        # resilience4j: forced open slips to half-open through a leftover timer.
        breaker = opened(clock)
        breaker.set_override(State.FORCED_OPEN)
        clock.advance(10_000)
        assert breaker.snapshot().state is State.FORCED_OPEN
        with pytest.raises(CircuitForcedOpen) as refused:
            breaker.call(int)
        assert refused.value.retry_after_s is None

    def test_lifting_forced_open_lets_probes_pass_first(self, clock: FakeClock) -> None:
        breaker = make(clock)
        breaker.set_override("forced_open")
        breaker.set_override(None)
        assert breaker.state is State.HALF_OPEN
        breaker.call(int)
        breaker.call(int)
        assert breaker.state is State.CLOSED

    def test_an_override_ends_by_itself(self, clock: FakeClock) -> None:
        breaker = make(clock)
        breaker.set_override("forced_open", expires_in_s=60)
        clock.advance(60)
        assert breaker.call(int) == 0
        assert breaker.state is State.HALF_OPEN

    def test_forced_closed_lets_all_pass_and_measures(self, clock: FakeClock) -> None:
        breaker = opened(clock)
        breaker.set_override("forced_closed")
        failing(breaker, 10)
        assert breaker.state is State.FORCED_CLOSED
        assert breaker.snapshot().counts["failure"] == 13

    def test_metrics_only_says_when_it_would_be_open_and_refuses_nothing(
        self, clock: FakeClock
    ) -> None:
        breaker = make(clock)
        breaker.set_override("metrics_only")
        failing(breaker, 3)
        shot = breaker.snapshot()
        assert (shot.state, shot.would_be_open) == (State.METRICS_ONLY, True)
        clock.advance(31)
        assert breaker.snapshot().automatic_state is State.HALF_OPEN
        breaker.call(int)
        breaker.call(int)
        assert not breaker.snapshot().would_be_open

    def test_lifting_forced_closed_returns_to_a_fresh_window(self, clock: FakeClock) -> None:
        breaker = make(clock)
        breaker.set_override("forced_closed")
        failing(breaker, 10)
        breaker.set_override(None)
        assert breaker.state is State.CLOSED
        failing(breaker, 2)
        assert breaker.state is State.CLOSED

    @pytest.mark.parametrize("state", ["open", "closed", "half_open", "ajar", ""])
    def test_only_the_three_can_be_forced(self, clock: FakeClock, state: str) -> None:
        with pytest.raises(ValueError, match="no override"):
            make(clock).set_override(state)

    @pytest.mark.parametrize("expiry", [0, -1, float("nan")])
    def test_an_override_ends_in_the_future(self, clock: FakeClock, expiry: float) -> None:
        with pytest.raises(ValueError, match="above 0"):
            make(clock).set_override("forced_open", expires_in_s=expiry)

    def test_reset_closes_it(self, clock: FakeClock) -> None:
        breaker = opened(clock)
        breaker.reset()
        assert breaker.call(int) == 0
        assert breaker.state is State.CLOSED


class TestPolicy:
    def test_an_applied_policy_works_at_once(self, clock: FakeClock) -> None:
        breaker = make(clock)
        breaker.apply_policy({"failure_threshold": 1})
        failing(breaker, 1)
        assert breaker.state is State.OPEN

    def test_an_empty_policy_goes_back_to_code(self, clock: FakeClock) -> None:
        breaker = make(clock)
        breaker.apply_policy({"failure_threshold": 1})
        breaker.apply_policy({})
        assert breaker.policy == breaker.declared

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"failure_threshold": 0}, "failure_threshold"),
            ({"timeout": -1}, "timeout"),
            ({"retries": 1.5}, "retries"),
            ({"window_type": "sliding"}, "window_type"),
            ({"timeout_duration": float("nan")}, "timeout_duration"),
            ({"retries": True}, "retries"),
            ({"colour": "red"}, "colour"),
            ({"slow_call_rate_threshold": 0.5}, "slow_call_duration"),
        ],
    )
    def test_a_bad_policy_changes_nothing_and_names_the_field(
        self, clock: FakeClock, fields: dict[str, Any], field: str
    ) -> None:
        breaker = make(clock)
        before = breaker.policy
        with pytest.raises(PolicyError) as error:
            breaker.apply_policy({"success_threshold": 9, **fields})
        assert error.value.field == field
        assert breaker.policy is before

    def test_changing_the_window_begins_a_fresh_one(self, clock: FakeClock) -> None:
        breaker = make(clock)
        breaker.call(int)
        breaker.apply_policy({"window_type": "time", "window_size": 60})
        assert breaker.snapshot().window.calls == 0


class TestEntrances:
    def test_a_decorated_function(self, clock: FakeClock) -> None:
        @make(clock)
        def double(n: int) -> int:
            """Twice."""
            return 2 * n

        assert double(4) == 8
        assert double.__doc__ == "Twice."

    async def test_a_decorated_coroutine_function(self, clock: FakeClock) -> None:
        breaker = make(clock)

        @breaker
        async def boom() -> None:
            raise Boom

        for _ in range(3):
            with pytest.raises(Boom):
                await boom()
        assert breaker.state is State.OPEN

    def test_a_decorated_generator_is_one_call(self, clock: FakeClock) -> None:
        breaker = make(clock)

        @breaker
        def numbers() -> Iterator[int]:
            yield 1
            yield 2

        assert list(numbers()) == [1, 2]
        assert breaker.snapshot().counts["success"] == 1

    def test_a_generator_left_early_after_an_item_is_a_success(self, clock: FakeClock) -> None:
        breaker = make(clock)

        @breaker
        def numbers() -> Iterator[int]:
            yield 1
            yield 2

        each = numbers()
        next(each)
        each.close()  # type: ignore[attr-defined]
        shot = breaker.snapshot()
        assert (shot.counts["success"], shot.counts["failure"], shot.in_flight) == (1, 0, 0)

    async def test_a_decorated_async_generator(self, clock: FakeClock) -> None:
        breaker = make(clock)

        @breaker
        async def numbers() -> Any:
            yield 1
            raise Boom

        for _ in range(3):
            with pytest.raises(Boom):
                async for _ in numbers():
                    pass
        assert breaker.state is State.OPEN

    def test_a_block(self, clock: FakeClock) -> None:
        breaker = make(clock)
        for _ in range(3):
            with pytest.raises(Boom), breaker:
                fail()
        with pytest.raises(CircuitBreakerOpen), breaker:
            pytest.fail("was let in")

    async def test_an_async_block_and_nested_ones(self, clock: FakeClock) -> None:
        outer, inner = make(clock), make(clock)
        async with outer, inner:
            assert outer.snapshot().in_flight == 1
        assert outer.snapshot().counts["success"] == inner.snapshot().counts["success"] == 1

    def test_leaving_what_was_not_entered_is_an_error(self, clock: FakeClock) -> None:
        with pytest.raises(RuntimeError, match="not entered"):
            make(clock).__exit__(None, None, None)


class TestTelling:
    def test_listeners_hear_of_each_transition_in_order(self, clock: FakeClock) -> None:
        breaker = make(clock)
        heard: list[TransitionRecord] = []
        breaker.add_listener(heard.append)
        failing(breaker, 3)
        clock.advance(30)
        breaker.call(int)
        breaker.call(int)
        assert [(each.before, each.after) for each in heard] == [
            (State.CLOSED, State.OPEN),
            (State.OPEN, State.HALF_OPEN),
            (State.HALF_OPEN, State.CLOSED),
        ]
        assert [each.id for each in heard] == [1, 2, 3]
        assert heard[0].window.failures == 3

    def test_a_listener_may_use_the_breaker_and_may_fail(self, clock: FakeClock) -> None:
        breaker = make(clock)
        seen: list[State] = []

        def broken(record: TransitionRecord) -> None:
            raise Boom

        breaker.add_listener(broken)
        breaker.add_listener(lambda record: seen.append(breaker.snapshot().state))
        failing(breaker, 3)
        assert seen == [State.OPEN]

    def test_a_listener_that_left_hears_nothing(self, clock: FakeClock) -> None:
        breaker = make(clock)
        heard: list[TransitionRecord] = []
        breaker.add_listener(heard.append)
        breaker.remove_listener(heard.append)
        failing(breaker, 3)
        assert heard == []

    def test_a_drain_has_everything_since_the_last_one(self, clock: FakeClock) -> None:
        breaker = opened(clock)
        with pytest.raises(CircuitBreakerOpen):
            breaker.call(int)
        breaker.count("retry", 2)
        drained = breaker.drain()
        assert drained.counts == {"failure": 3, "rejected": 1, "retry": 2}
        assert sum(drained.buckets.values()) == 3
        assert [each.after for each in drained.transitions] == [State.OPEN]
        again = breaker.drain()
        assert (again.counts, again.buckets, again.transitions) == ({}, {}, ())
        assert breaker.snapshot().counts["failure"] == 3

    @pytest.mark.parametrize("event", ["success", "failure", "nonsense"])
    def test_only_a_callers_events_are_counted_from_outside(
        self, clock: FakeClock, event: str
    ) -> None:
        with pytest.raises(ValueError, match="no event"):
            make(clock).count(event)

    def test_the_wall_clock_decides_nothing(self, clock: FakeClock) -> None:
        # pybreaker: opened_at is a whole-second wall clock.
        breaker = opened(clock)
        clock.set_wall(clock.wall() + 1_000_000)
        assert breaker.snapshot().state is State.OPEN
        clock.set_wall(0)
        clock.advance(30)
        assert breaker.snapshot().state is State.HALF_OPEN


class TestThreads:
    def test_counts_are_exact(self) -> None:
        breaker = CircuitBreaker(failure_threshold=None)

        def work() -> None:
            for n in range(20_000):
                if n % 100:
                    breaker.call(int)
                else:
                    with pytest.raises(Boom):
                        breaker.call(fail)

        drained: list[dict[str, int]] = []
        stop = threading.Event()

        def drain() -> None:
            while not stop.is_set():
                drained.append(breaker.drain().counts)

        threads = [threading.Thread(target=work) for _ in range(8)]
        drainer = threading.Thread(target=drain)
        for thread in (*threads, drainer):
            thread.start()
        for thread in threads:
            thread.join()
        stop.set()
        drainer.join()
        drained.append(breaker.drain().counts)
        assert sum(each.get("success", 0) for each in drained) == 8 * 19_800
        assert sum(each.get("failure", 0) for each in drained) == 8 * 200
        assert breaker.snapshot().in_flight == 0

    def test_a_crowd_at_a_half_open_breaker_makes_no_more_probes_than_allowed(self) -> None:
        clock = FakeClock()
        breaker = opened(clock, half_open_max_calls=3, success_threshold=1000)
        clock.advance(30)
        running, most, lock = 0, 0, threading.Lock()

        def probe() -> None:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            with lock:
                running -= 1

        def work() -> None:
            # Fewer in all than would close it: then any number may pass.
            for _ in range(120):
                try:
                    breaker.call(probe)
                except CircuitBreakerOpen:
                    continue

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 1 <= most <= 3

    def test_no_lock_is_held_while_the_callee_runs(self) -> None:
        # pybreaker: calls through one breaker serialise.
        breaker = CircuitBreaker()
        meeting = threading.Barrier(4, timeout=5)
        threads = [threading.Thread(target=breaker.call, args=(meeting.wait,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert breaker.snapshot().counts["success"] == 4


def test_a_forked_child_starts_with_the_state_and_nobodys_counts() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    clock.advance(30)
    breaker.enter()  # a probe of the parent's is under way
    pid = os.fork()
    if pid == 0:
        try:
            fresh = breaker.drain().counts == {} and breaker.snapshot().in_flight == 0
            breaker.call(int)
            breaker.call(int)
            os._exit(0 if fresh and breaker.state is State.CLOSED else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert breaker.state is State.HALF_OPEN
    assert breaker.drain().counts["failure"] == 3


class TestRegistry:
    def test_named_breakers_are_found_and_unnamed_ones_are_not_kept(self) -> None:
        mine = Registry()
        named = CircuitBreaker(name="posts", registry=mine)
        CircuitBreaker(registry=mine)
        assert mine.all() == [named]
        assert mine.get("posts") is named
        assert mine.get("users") is None

    def test_two_breakers_cannot_share_a_name(self) -> None:
        mine = Registry()
        CircuitBreaker(name="posts", registry=mine)
        with pytest.raises(ValueError, match="already"):
            CircuitBreaker(name="posts", registry=mine)

    def test_it_is_bounded(self) -> None:
        mine = Registry(max_breakers=1)
        CircuitBreaker(name="posts", registry=mine)
        with pytest.raises(RegistryFull):
            CircuitBreaker(name="users", registry=mine)
        with pytest.raises(ValueError, match="whole number from 1"):
            Registry(max_breakers=0)

    def test_get_or_create_makes_one_for_all_who_ask(self) -> None:
        mine = Registry()

        def new() -> CircuitBreaker:
            return CircuitBreaker(name="posts", registry=None)

        assert mine.get_or_create("posts", new) is mine.get_or_create("posts", new)
        with pytest.raises(ValueError, match="not 'users'"):
            mine.get_or_create("users", new)

    def test_the_loser_of_a_race_gets_the_winners(self) -> None:
        mine = Registry()

        def slow() -> CircuitBreaker:
            CircuitBreaker(name="posts", registry=mine)
            return CircuitBreaker(name="posts", registry=None)

        assert mine.get_or_create("posts", slow) is mine.get("posts")

    def test_whoever_listens_hears_of_new_ones(self) -> None:
        mine = Registry()
        heard: list[str] = []

        def listen(breaker: CircuitBreaker) -> None:
            heard.append(breaker.name)

        mine.on_create(listen)
        CircuitBreaker(name="posts", registry=mine)
        mine.off_create(listen)
        CircuitBreaker(name="users", registry=mine)
        assert heard == ["posts"]

    def test_what_was_removed_can_be_named_again(self) -> None:
        mine = Registry()
        CircuitBreaker(name="posts", registry=mine)
        mine.remove("posts")
        CircuitBreaker(name="posts", registry=mine)
