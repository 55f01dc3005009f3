"""The breaker against a plain model of itself: whatever is done to both, they say the same."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from breakers import CallTimeout, CircuitBreaker, CircuitBreakerOpen
from breakers.testing import FakeClock
from tests.breakers.circuit.reference import OpenPermit, Reference

OUTCOMES = ("success", "failure", "timeout", "ignored", None)
ERRORS: dict[str | None, BaseException | None] = {
    "success": None,
    "failure": KeyError(),
    "timeout": CallTimeout(1.0),
    "ignored": ZeroDivisionError(),
    None: asyncio.CancelledError(),
}
# Whole quarters of a second add up without rounding, so that edges are met exactly.
QUARTERS = st.integers(0, 40).map(lambda n: n / 4)


class Model(RuleBasedStateMachine):
    @initialize(
        policy=st.fixed_dictionaries(
            {
                "failure_threshold": st.none() | st.integers(1, 4),
                "success_threshold": st.integers(1, 3),
                "timeout_duration": st.sampled_from([0.5, 2.0]),
                "half_open_max_calls": st.integers(1, 3),
                "half_open_lease": st.sampled_from([1.0, 3.0]),
                "failure_rate_threshold": st.none() | st.sampled_from([0.25, 0.5, 1.0]),
                "slow_call_duration": st.just(1.0),
                "slow_call_rate_threshold": st.none() | st.sampled_from([0.5, 1.0]),
                "window_size": st.integers(1, 8),
                "minimum_calls": st.integers(1, 8),
                "open_backoff_factor": st.sampled_from([1.0, 2.0]),
                "open_duration_max": st.just(6.0),
            }
        )
    )
    def begin(self, policy: dict[str, Any]) -> None:
        self.clock = FakeClock()
        self.breaker = CircuitBreaker(
            **policy, ignore=ZeroDivisionError, clock=self.clock, random=lambda: 0.0
        )
        self.model = Reference(self.breaker.policy)
        self.held: list[tuple[Any, float, OpenPermit]] = []
        self.drained: dict[str, int] = {}

    @rule()
    def start(self) -> None:
        expected = self.model.enter(self.clock.monotonic())
        try:
            ticket, start = self.breaker.enter()
        except CircuitBreakerOpen as error:
            refused = error
        else:
            assert expected is not None
            self.held.append((ticket, start, expected))
            return
        assert expected is None
        if self.model.shown == "open":
            assert refused.retry_after_s == self.model.open_until - self.clock.monotonic()

    @precondition(lambda self: self.held)
    @rule(outcome=st.sampled_from(OUTCOMES), data=st.data())
    def finish(self, outcome: str | None, data: st.DataObject) -> None:
        ticket, start, held = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.breaker.leave(ticket, start, ERRORS[outcome])
        self.model.leave(held, self.clock.monotonic(), outcome)

    @rule(outcome=st.sampled_from(OUTCOMES), took=st.sampled_from([0.0, 0.25, 1.0]))
    def call(self, outcome: str | None, took: float) -> None:
        def callee() -> None:
            self.clock.advance(took)
            if (error := ERRORS[outcome]) is not None:
                raise error

        held = self.model.enter(self.clock.monotonic())
        before = self.clock.monotonic()
        raised: BaseException | None = None
        try:
            self.breaker.call(callee)
        except BaseException as error:
            raised = error
        if held is None:
            assert isinstance(raised, CircuitBreakerOpen)
            assert self.clock.monotonic() == before, "the callee was asked"
        else:
            assert raised is ERRORS[outcome]
            self.model.leave(held, self.clock.monotonic(), outcome)

    @rule(n=st.integers(1, 150))
    def many_successes(self, n: int) -> None:
        for _ in range(n):
            self.call(outcome="success", took=0.0)

    @rule(seconds=QUARTERS)
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(wall=st.floats(-1e9, 1e9))
    def step_the_wall_clock(self, wall: float) -> None:
        self.clock.set_wall(wall)

    @rule(
        state=st.sampled_from(["forced_open", "forced_closed", "metrics_only", None]),
        expires_in=st.none() | st.sampled_from([0.5, 2.0]),
    )
    def force(self, state: str | None, expires_in: float | None) -> None:
        self.model.force(state, self.clock.monotonic(), expires_in)
        self.breaker.set_override(state, expires_in)

    @rule()
    def reset(self) -> None:
        self.model.reset(self.clock.monotonic())
        self.breaker.reset()

    @rule()
    def drain(self) -> None:
        self.model.settle(self.clock.monotonic())
        for name, n in self.breaker.drain().counts.items():
            self.drained[name] = self.drained.get(name, 0) + n

    @rule()
    def look(self) -> None:
        self.model.settle(self.clock.monotonic())
        shot = self.breaker.snapshot()
        assert shot.state == self.model.shown
        assert shot.automatic_state == self.model.state
        assert {name: n for name, n in shot.counts.items() if n} == self.model.counts
        assert shot.in_flight == self.model.in_flight
        assert sum(shot.buckets.values()) == sum(
            n for name, n in self.model.counts.items() if name not in ("slow", "rejected")
        )
        for name, n in self.drained.items():
            assert n <= shot.counts[name]

    @invariant()
    def no_more_probes_than_allowed(self) -> None:
        assert len(self.model.probes) <= self.model.policy.half_open_max_calls

    def teardown(self) -> None:
        if hasattr(self, "breaker"):
            self.look()


Model.TestCase.settings = settings(
    max_examples=int(os.environ.get("SWITCHGEAR_EXAMPLES", "300")),
    stateful_step_count=40,
    deadline=None,
    derandomize="SWITCHGEAR_EXAMPLES" not in os.environ,
)
TestModel = Model.TestCase
