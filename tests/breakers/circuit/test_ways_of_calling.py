"""Every way of calling through a breaker, and what its listeners are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from breakers import (
    CircuitBreakerOpen,
    State,
    TransitionRecord,
)
from breakers.testing import FakeClock
from tests.breakers.circuit.failing_calls import Boom, fail, failing, make, opened


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
