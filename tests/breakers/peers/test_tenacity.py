"""What a user of tenacity expects, and its name here.

| tenacity | here |
|---|---|
| `@retry` | `@resilient(CallOptions(...))` |
| `stop_after_attempt(n)` | `retries=n`: attempts in all on both sides |
| `stop_after_delay(s)`, `stop_before_delay(s)` | `deadline=s`, which also ends the attempt under way |
| `wait_random_exponential(multiplier, max)` | `retry_delay`, `retry_delay_max`: always with full jitter |
| `retry_if_exception_type`, `retry_if_exception` | `retry_on`: types, or a function of the error |
| `retry_if_result` | `retry_on_result` |
| `before_sleep` | `on_retry` |
| `reraise=True` | always |
| `RetryError` | the last attempt's own error |
| `retry_error_callback` | `fallback` |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import tenacity

from breakers import (
    CallOptions,
    CircuitBreaker,
    ResilientCaller,
    RetryAttempt,
    RetryBudget,
    resilient,
)
from tests.breakers.peers.side_by_side import Boom, Odd


class Service:
    """Fails so many times, then answers how often it was asked."""

    def __init__(self, failures: int, error: Callable[[], Exception] = Boom) -> None:
        self.failures, self.error, self.asked = failures, error, 0

    def __call__(self) -> int:
        self.asked += 1
        if self.asked <= self.failures:
            raise self.error()
        return self.asked


def theirs(service: Service, **fields: Any) -> tuple[Any, list[float]]:
    """What came, and the pauses."""
    slept: list[float] = []
    fields.setdefault("reraise", True)
    return _outcome_of(tenacity.retry(sleep=slept.append, **fields)(lambda: service())), slept


def ours_here(service: Service, **fields: Any) -> tuple[Any, list[float]]:
    slept: list[float] = []
    caller = ResilientCaller(sleep=slept.append, random=lambda: 1.0)
    fields.setdefault("timeout", None)
    return _outcome_of(lambda: caller.call(service, CallOptions(**fields))), slept


def _outcome_of(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("failures", [0, 1, 2, 3, 9])
def test_so_many_attempts_in_all(failures: int) -> None:
    them, us = Service(failures), Service(failures)
    seen = theirs(them, stop=tenacity.stop_after_attempt(3))[0]
    assert ours_here(us, retries=3)[0] == seen
    assert us.asked == them.asked


def test_the_backoff_doubles_to_a_cap() -> None:
    stop, wait = tenacity.stop_after_attempt(6), tenacity.wait_exponential(multiplier=0.5, max=3.0)
    seen = theirs(Service(9), stop=stop, wait=wait)
    # Jitter at its highest, where full jitter touches the plain exponential.
    assert ours_here(Service(9), retries=6, retry_delay=0.5, retry_delay_max=3.0) == seen
    assert seen[1] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_only_errors_worth_it_are_retried() -> None:
    for error, expected in ((Boom, 3), (Odd, Odd)):
        them = theirs(
            Service(2, error), retry=tenacity.retry_if_exception_type(Boom),
            stop=tenacity.stop_after_attempt(5),
        )  # fmt: skip
        assert ours_here(Service(2, error), retries=5, retry_on=Boom)[0] == them[0] == expected


def test_a_function_of_the_error_may_decide() -> None:
    def worth_it(error: BaseException) -> bool:
        return isinstance(error, Boom)

    rule = tenacity.retry_if_exception(worth_it)
    seen = theirs(Service(2), retry=rule, stop=tenacity.stop_after_attempt(5))[0]
    assert ours_here(Service(2), retries=5, retry_on=worth_it)[0] == seen == 3


def test_an_answer_that_is_not_good_enough_is_asked_for_again() -> None:
    def too_low(answer: int) -> bool:
        return answer < 3

    rule, stop = tenacity.retry_if_result(too_low), tenacity.stop_after_attempt(5)
    seen = theirs(Service(0), retry=rule, stop=stop)[0]
    assert ours_here(Service(0), retries=5, retry_on_result=too_low)[0] == seen == 3


def test_where_none_was_good_enough_the_last_answer_is_returned_here() -> None:
    rule, stop = tenacity.retry_if_result(lambda answer: True), tenacity.stop_after_attempt(2)
    assert theirs(Service(0), retry=rule, stop=stop)[0] is tenacity.RetryError
    assert ours_here(Service(0), retries=2, retry_on_result=lambda answer: True)[0] == 2


def test_the_error_is_the_callees_own() -> None:
    assert (
        theirs(Service(9), stop=tenacity.stop_after_attempt(2), reraise=False)[0]
        is tenacity.RetryError
    )
    assert ours_here(Service(9), retries=2)[0] is Boom


def test_a_hook_is_told_before_each_pause() -> None:
    them: list[tuple[int, float]] = []
    us: list[tuple[int, float]] = []

    def before_sleep(state: tenacity.RetryCallState) -> None:
        them.append((state.attempt_number, state.upcoming_sleep))

    def on_retry(attempt: RetryAttempt) -> None:
        us.append((attempt.attempt, attempt.pause_s))

    theirs(
        Service(2), stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_fixed(0.5),
        before_sleep=before_sleep,
    )  # fmt: skip
    ours_here(Service(2), retries=3, retry_delay=0.5, on_retry=on_retry)
    assert them == [(1, 0.5), (2, 0.5)]
    assert us == [(1, 0.5), (2, 1.0)]


def test_no_pause_goes_beyond_the_time_for_all() -> None:
    stop, wait = tenacity.stop_before_delay(1.0), tenacity.wait_fixed(5.0)
    assert theirs(Service(9), stop=stop, wait=wait) == (Boom, [])
    assert ours_here(Service(9), retries=9, retry_delay=5.0, deadline=1.0) == (Boom, [])


def test_what_answers_in_the_end() -> None:
    seen = theirs(
        Service(9),
        stop=tenacity.stop_after_attempt(2),
        retry_error_callback=lambda state: "instead",
    )
    assert (
        ours_here(Service(9), retries=2, retry_delay=0.0, fallback=lambda: "instead")[0] == seen[0]
    )


async def test_coroutines_too() -> None:
    async def service() -> int:
        asked.append(1)
        if len(asked) < 3:
            raise Boom
        return len(asked)

    async def no_pause(seconds: float) -> None:
        pass

    asked: list[int] = []
    assert await tenacity.retry(stop=tenacity.stop_after_attempt(3), sleep=no_pause)(service)() == 3
    asked.clear()
    guarded = resilient(CallOptions(timeout=None, retries=3), ResilientCaller(asleep=no_pause))
    assert await guarded(service)() == 3


def test_an_outage_does_not_multiply_load_here() -> None:
    # Theirs retries each call, whatever becomes of the others.
    def load(call: Callable[[Service], Any]) -> int:
        service = Service(10_000)
        for _ in range(100):
            call(service)
        return service.asked

    assert load(lambda service: theirs(service, stop=tenacity.stop_after_attempt(3))) == 300
    budget = RetryBudget(ratio=0.2, burst=10)
    assert load(lambda service: ours_here(service, retries=3, retry_budget=budget)) <= 100 + 10 + 20
    breaker = CircuitBreaker(5)
    assert load(lambda service: ours_here(service, retries=3, circuit_breaker=breaker)) == 5
