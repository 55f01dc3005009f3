"""Forced states and policies of a breaker, on a clock turned by hand."""

from __future__ import annotations

from typing import Any

import pytest

from breakers import (
    CircuitForcedOpen,
    PolicyError,
    State,
)
from breakers.testing import FakeClock
from tests.breakers.circuit.failing_calls import failing, make, opened


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
