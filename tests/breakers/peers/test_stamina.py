"""What a user of stamina expects, and its name here.

| stamina | here |
|---|---|
| `@stamina.retry(on=...)` | `@resilient(CallOptions(retry_on=...))` |
| `attempts` | `retries`: attempts in all on both sides |
| `timeout` (for all attempts) | `deadline`; `timeout` is one attempt's |
| `wait_initial`, `wait_max`, `wait_exp_base=2` | `retry_delay`, `retry_delay_max`, doubling |
| `wait_jitter` (added on top) | full jitter: anywhere from 0 to the backoff |
| a hook that returns seconds | `Retry-After`, or `retry_after` on the error, is honoured |
| `RetryingCaller(...).on(E)(func)` | `ResilientCaller().call(func, options)` |
| `set_on_retry_hooks` | `CallOptions.on_retry` |
| `set_testing(True)` | `ResilientCaller(sleep=lambda s: None)` |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import stamina

from breakers import CallOptions, ResilientCaller, RetryAttempt, resilient
from tests.breakers.peers.side_by_side import Boom, Odd
from tests.breakers.peers.test_tenacity import Service, ours_here


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", pauses.append)
    return pauses


def theirs(service: Service, **fields: Any) -> Any:
    fields.setdefault("on", Exception)
    fields.setdefault("wait_jitter", 0)
    try:
        return stamina.retry(**fields)(lambda: service())()
    except Exception as error:
        return type(error)


@pytest.mark.usefixtures("slept")
@pytest.mark.parametrize("failures", [0, 1, 2, 3, 9])
def test_so_many_attempts_in_all_and_then_the_callees_own_error(failures: int) -> None:
    them, us = Service(failures), Service(failures)
    assert ours_here(us, retries=3)[0] == theirs(them, attempts=3)
    assert us.asked == them.asked


def test_the_backoff_doubles_to_a_cap(slept: list[float]) -> None:
    theirs(Service(9), attempts=6, wait_initial=0.5, wait_max=3.0)
    assert ours_here(Service(9), retries=6, retry_delay=0.5, retry_delay_max=3.0)[1] == slept
    assert slept == [0.5, 1.0, 2.0, 3.0, 3.0]


@pytest.mark.usefixtures("slept")
@pytest.mark.parametrize(
    "rule",
    [Boom, (Boom, KeyError), lambda error: isinstance(error, Boom)],
    ids=["type", "types", "function"],
)
def test_only_what_it_is_for_is_retried(rule: Any) -> None:
    for error, expected in ((Boom, 3), (Odd, Odd)):
        them = theirs(Service(2, error), on=rule, attempts=5)
        assert ours_here(Service(2, error), retries=5, retry_on=rule)[0] == them == expected


def test_the_callee_may_say_how_long_to_wait(slept: list[float]) -> None:
    class Busy(Exception):
        retry_after = 7.0

    def hook(error: Exception) -> float:
        return float(error.retry_after)  # type: ignore[attr-defined]

    assert theirs(Service(1, Busy), on=hook, attempts=2) == 2
    assert ours_here(Service(1, Busy), retries=2) == (2, [7.0])
    assert slept == [7.0]


@pytest.mark.usefixtures("slept")
def test_no_pause_goes_beyond_the_time_for_all() -> None:
    us = Service(9)
    assert ours_here(us, retries=9, retry_delay=5.0, deadline=1.0) == (Boom, [])
    # Theirs shortens the pause to what is left, and asks once more as the time runs out.
    assert us.asked == 1
    assert theirs(Service(9), attempts=3, wait_initial=5.0, timeout=0.001) is Boom


@pytest.mark.usefixtures("slept")
def test_a_function_keeps_its_name() -> None:
    def double(n: int) -> int:
        """Twice."""
        return 2 * n

    for wrapped in (stamina.retry(on=Boom)(double), resilient(CallOptions(timeout=None))(double)):
        assert (wrapped.__name__, wrapped.__doc__, wrapped(4)) == ("double", "Twice.", 8)


@pytest.mark.usefixtures("slept")
def test_a_caller_is_shared_by_calls() -> None:
    them = stamina.RetryingCaller(attempts=3, wait_jitter=0).on(Boom)
    us = ResilientCaller(sleep=lambda seconds: None)
    options = CallOptions(timeout=None, retries=3, retry_on=Boom)
    assert them(Service(2)) == us.call(Service(2), options) == 3


def test_a_hook_is_told_before_each_pause(slept: list[float]) -> None:
    them: list[tuple[int, float]] = []
    us: list[tuple[int, float]] = []

    def on_retry(attempt: RetryAttempt) -> None:
        us.append((attempt.attempt, attempt.pause_s))

    before = stamina.instrumentation.get_on_retry_hooks()
    stamina.instrumentation.set_on_retry_hooks(
        [lambda details: them.append((details.retry_num, details.wait_for))]
    )
    try:
        theirs(Service(2), attempts=3, wait_initial=0.5)
    finally:
        stamina.instrumentation.set_on_retry_hooks(before)
    ours_here(Service(2), retries=3, retry_delay=0.5, on_retry=on_retry)
    assert them == us == [(1, 0.5), (2, 1.0)]


async def test_coroutines_too() -> None:
    async def service() -> int:
        asked.append(1)
        if len(asked) < 3:
            raise Boom
        return len(asked)

    async def no_pause(seconds: float) -> None:
        pass

    asked: list[int] = []
    with stamina.set_testing(True, attempts=3):
        assert await stamina.retry(on=Boom)(service)() == 3
    asked.clear()
    options = CallOptions(timeout=None, retries=3, retry_on=Boom)
    assert await ResilientCaller(asleep=no_pause).acall(service, options) == 3


def test_tests_need_not_wait() -> None:
    quick: Callable[[float], None] = lambda seconds: None  # noqa: E731
    assert ResilientCaller(sleep=quick).call(Service(2), CallOptions(timeout=None)) == 3
