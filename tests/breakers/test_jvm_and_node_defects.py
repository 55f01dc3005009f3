"""Defects that users of libraries in Java and JavaScript have met, and of names and forks."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from breakers import (
    CircuitBreaker,
    CircuitBreakerOpen,
    CircuitForcedOpen,
    Registry,
    RegistryFull,
    State,
)
from breakers.testing import FakeClock
from tests.breakers.peer_defects import Boom, fail, opened


class TestResilience4j:
    def test_a_probe_that_never_returns_gives_its_permit_back(self, clock: FakeClock) -> None:
        breaker = opened(clock, half_open_lease=10.0, success_threshold=1)
        clock.advance(30)
        lost = breaker.enter()
        with pytest.raises(CircuitBreakerOpen):
            breaker.call(int)
        clock.advance(10)
        assert breaker.call(int) == 0
        assert breaker.state is State.CLOSED
        # What it says when it comes back after all is counted and moves nothing.
        breaker.leave(*lost, Boom())
        assert breaker.state is State.CLOSED
        assert breaker.snapshot().counts["failure"] == 2

    @pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError, SystemExit])
    def test_a_probe_that_is_called_off_gives_it_back_at_once(
        self, clock: FakeClock, error: type[BaseException]
    ) -> None:
        breaker = opened(clock, success_threshold=1)
        clock.advance(30)
        with pytest.raises(error):
            breaker.call(fail, error)  # type: ignore[arg-type]
        assert breaker.state is State.HALF_OPEN
        assert breaker.call(int) == 0

    def test_a_leftover_timer_does_not_slip_it_out_of_forced_open(self, clock: FakeClock) -> None:
        breaker = opened(clock)
        breaker.set_override("forced_open")
        clock.advance(31)
        assert breaker.snapshot().state is State.FORCED_OPEN
        with pytest.raises(CircuitForcedOpen):
            breaker.call(int)

    def test_lifting_it_lets_probes_in_and_no_crowd(self, clock: FakeClock) -> None:
        breaker = CircuitBreaker(clock=clock)
        breaker.set_override("forced_open")
        breaker.set_override(None)
        assert breaker.state is State.HALF_OPEN
        breaker.enter()
        with pytest.raises(CircuitBreakerOpen):
            breaker.call(int)

    def test_it_recovers_on_screen_without_traffic(self, clock: FakeClock) -> None:
        breaker = opened(clock)
        clock.advance(30)
        assert breaker.snapshot().state is State.HALF_OPEN
        assert [each.after for each in breaker.drain().transitions] == ["open", "half_open"]

    def test_and_for_whoever_only_asks_for_its_state(self, clock: FakeClock) -> None:
        breaker = opened(clock)
        clock.advance(30)
        assert breaker.state is State.HALF_OPEN


class TestOpossum:
    def test_those_who_race_for_the_probe_share_one_permit(self, clock: FakeClock) -> None:
        breaker = opened(clock)
        clock.advance(30)
        start, go = threading.Barrier(9), threading.Event()
        ends: list[str] = []

        def ask() -> None:
            start.wait(5)
            try:
                breaker.call(go.wait, 5)
                ends.append("probe")
            except CircuitBreakerOpen:
                ends.append("refused")

        crowd = [threading.Thread(target=ask) for _ in range(8)]
        for thread in crowd:
            thread.start()
        start.wait(5)
        while len(ends) < 7:
            threading.Event().wait(0.001)
        go.set()
        for thread in crowd:
            thread.join(5)
        assert sorted(ends) == ["probe"] + ["refused"] * 7

    @pytest.mark.parametrize("state", ["forced_open", "forced_closed", "metrics_only"])
    def test_a_forced_state_is_told_from_an_automatic_one(
        self, clock: FakeClock, state: str
    ) -> None:
        breaker = opened(clock)
        told: list[str] = []
        breaker.add_listener(lambda record: told.append(record.after))
        breaker.set_override(state, expires_in_s=10, id="incident 42")
        shot = breaker.snapshot()
        assert (shot.state, shot.automatic_state) == (state, State.OPEN)
        assert shot.override is not None
        assert (shot.override.id, told) == ("incident 42", [state])


class TestNames:
    def test_names_made_of_user_input_cannot_eat_memory(self) -> None:
        mine = Registry(max_breakers=700)
        for n in range(700):
            mine.get_or_create(
                f"user {n}", lambda n=n: CircuitBreaker(name=f"user {n}", registry=None)
            )  # type: ignore[misc]
        with pytest.raises(RegistryFull, match="700"):
            CircuitBreaker(name="one more", registry=mine)

    def test_a_name_that_is_no_longer_used_makes_room(self) -> None:
        mine = Registry(max_breakers=1)
        CircuitBreaker(name="old", registry=mine)
        mine.remove("old")
        CircuitBreaker(name="new", registry=mine)
        assert [each.name for each in mine.all()] == ["new"]


class TestForks:
    def test_a_child_of_a_half_open_breaker_makes_its_own_probe(self, clock: FakeClock) -> None:
        breaker = opened(clock, success_threshold=1)
        clock.advance(30)
        held = breaker.enter()
        child = os.fork()
        if not child:
            # The parent's probe will never come back here: its permit is not the child's.
            try:
                breaker.call(int)
                breaker.leave(*held, Boom())
                os._exit(0 if breaker.state is State.CLOSED else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert breaker.state is State.HALF_OPEN
        breaker.leave(*held)
        assert breaker.state is State.CLOSED
