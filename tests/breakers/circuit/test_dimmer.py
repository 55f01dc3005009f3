"""A breaker that refuses a share of its calls: throttle, ramp, forced_partial, criticality."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from breakers import (
    CallShed,
    CircuitBreaker,
    CircuitBreakerOpen,
    CircuitForcedOpen,
    PolicyError,
    State,
    criticality,
)
from breakers.testing import FakeClock


def fail() -> None:
    raise OSError("out of order")


def make(clock: FakeClock, **fields: object) -> CircuitBreaker:
    rng = random.Random(7)
    return CircuitBreaker(
        clock=clock, registry=None, random=rng.random, **({"failure_threshold": None} | fields)
    )


def through(breaker: CircuitBreaker, func: Callable[[int], object], n: int = 1000) -> int:
    """How many of n calls the breaker let through."""
    let = 0
    for number in range(n):
        try:
            breaker.call(func, number)
        except CircuitBreakerOpen:
            continue
        except OSError:
            pass
        let += 1
    return let


def failing(share: float) -> Callable[[int], object]:
    rng = random.Random(3)

    def call(number: int) -> object:
        return fail() if rng.random() < share else number

    return call


def test_a_throttle_refuses_nothing_while_the_failures_stay_below_its_multiple() -> None:
    assert through(make(FakeClock(), throttle=2.0), failing(0.2)) == 1000


def test_a_throttle_follows_the_failures_beyond_its_multiple() -> None:
    let = through(make(FakeClock(), throttle=1.5), failing(0.9))
    # A tenth succeeds: the share let through tends to 1.5 / 10.
    assert 100 < let < 300


def test_a_throttled_breaker_stays_closed_and_says_why_it_refused() -> None:
    breaker = make(FakeClock(), throttle=1.0)
    through(breaker, failing(1.0), 200)
    assert breaker.state is State.CLOSED
    with pytest.raises(CallShed, match="refusing a share"):
        for _ in range(500):
            breaker.call(len, "four")
    shot = breaker.snapshot()
    assert shot.counts["rejected"] > 0
    assert shot.in_flight == 0


def test_a_throttle_lets_go_soon_after_the_dependency_is_well() -> None:
    clock = FakeClock()
    breaker = make(clock, throttle=2.0)
    through(breaker, failing(1.0), 500)
    for _ in range(40):
        clock.advance(0.5)
        through(breaker, str, 20)
    assert through(breaker, str, 500) == 500
    assert breaker._throttle is None
    assert breaker._ticket is not None, "calls take the plain path again"


def test_without_a_throttle_failures_leave_the_plain_path_alone() -> None:
    breaker = make(FakeClock())
    through(breaker, failing(0.5), 100)
    assert breaker._ticket is breaker._current


def recovered(clock: FakeClock, **fields: object) -> CircuitBreaker:
    breaker = make(
        clock, failure_threshold=1, timeout_duration=10, success_threshold=1, open_jitter=0.0,
        **fields,
    )  # fmt: skip
    through(breaker, failing(1.0), 1)
    clock.advance(10.0)
    breaker.call(len, "four")
    assert breaker.state is State.CLOSED
    return breaker


@pytest.mark.parametrize(
    ("seconds", "share"), [(0.0, 0.05), (2.0, 0.10), (4.0, 0.25), (6.0, 0.50), (8.0, 1.0)]
)
def test_after_half_open_the_share_rises_in_steps(seconds: float, share: float) -> None:
    clock = FakeClock()
    breaker = recovered(clock, recovery_ramp=10.0)
    clock.advance(seconds)
    assert through(breaker, str, 4000) / 4000 == pytest.approx(share, abs=0.02)


def test_after_the_ramp_calls_take_the_plain_path() -> None:
    clock = FakeClock()
    breaker = recovered(clock, recovery_ramp=10.0)
    clock.advance(10.0)
    assert through(breaker, str, 10) == 10
    assert breaker._ticket is not None


def test_a_failure_during_the_ramp_opens_the_breaker_again() -> None:
    clock = FakeClock()
    breaker = recovered(clock, recovery_ramp=10.0)
    clock.advance(8.0)
    through(breaker, failing(1.0), 1)
    assert breaker.state is State.OPEN


@pytest.mark.parametrize("share", [0.0, 0.05, 0.25, 1.0])
def test_forced_partial_lets_its_share_through(share: float) -> None:
    breaker = make(FakeClock())
    breaker.set_override("forced_partial", share=share)
    assert breaker.state is State.FORCED_PARTIAL
    assert through(breaker, str, 4000) / 4000 == pytest.approx(share, abs=0.02)


def test_forced_partial_lets_its_share_through_an_open_breaker_and_says_who_refuses() -> None:
    breaker = make(FakeClock(), failure_threshold=1)
    through(breaker, failing(1.0), 1)
    breaker.set_override("forced_partial", 60.0, share=0.5)
    assert through(breaker, str, 1000) == pytest.approx(500, abs=60)
    with pytest.raises(CircuitForcedOpen):
        for _ in range(50):
            breaker.call(len, "four")


def test_forced_partial_ends_by_itself() -> None:
    clock = FakeClock()
    breaker = make(clock)
    breaker.set_override("forced_partial", 30.0, share=0.0)
    clock.advance(30.0)
    assert through(breaker, str, 100) == 100


@pytest.mark.parametrize(
    ("state", "share"),
    [("forced_partial", None), ("forced_partial", 1.5), ("forced_partial", True),
     ("forced_open", 0.5), ("forced_partial", float("nan"))],
)  # fmt: skip
def test_a_share_that_does_not_fit_is_refused(state: str, share: object) -> None:
    with pytest.raises(ValueError, match="share is"):
        make(FakeClock()).set_override(state, share=share)  # type: ignore[arg-type]


def test_the_least_important_calls_are_refused_first() -> None:
    breaker = make(FakeClock())
    breaker.set_override("forced_partial", share=0.5)
    let = {}
    for level in ("critical", "default", "sheddable"):
        with criticality(level):
            let[level] = through(breaker, str, 4000) / 4000
    assert let == pytest.approx({"critical": 0.75, "default": 0.5, "sheddable": 0.25}, abs=0.03)


def test_the_fields_are_off_by_default_and_checked() -> None:
    breaker = make(FakeClock())
    assert breaker.policy.throttle is None
    assert breaker.policy.recovery_ramp is None
    with pytest.raises(PolicyError, match="throttle is 0"):
        breaker.apply_policy({"throttle": 0.5})


def test_a_policy_switches_the_throttle_on_and_off() -> None:
    breaker = make(FakeClock())
    breaker.apply_policy({"throttle": 1.0})
    through(breaker, failing(1.0), 200)
    breaker.apply_policy({})
    assert through(breaker, str, 300) == 300
