"""What a user of circuitbreaker expects, and its name here.

| circuitbreaker | here |
|---|---|
| `failure_threshold`, `recovery_timeout` | `failure_threshold`, `timeout_duration` |
| `expected_exception` | `record` |
| `fallback_function` | `CallOptions.fallback` |
| `CircuitBreakerError` | `CircuitBreakerOpen` |
| `@circuit` | `@CircuitBreaker()` |
| `CircuitBreakerMonitor` | `registry` |
| `open_remaining`, `last_failure` | `snapshot().retry_after_s`, `snapshot().cause` |
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import circuitbreaker
import pytest

from breakers import (
    CallOptions,
    CircuitBreaker,
    CircuitBreakerOpen,
    FallbackValue,
    Registry,
    resilient,
)
from tests.breakers.peers.side_by_side import Boom, Odd, Time, adrive, drive, in_a_thread, ours


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    time.stop(monkeypatch, "circuitbreaker")
    return time


def through(**fields: Any) -> Callable[[Callable[[], str]], str]:
    """Their way in is the decorated function, which alone asks whether the breaker is open."""
    breaker = circuitbreaker.CircuitBreaker(name="posts", **fields)
    calls: list[Callable[[], str]] = []
    guarded = breaker(lambda: calls.pop()())

    def call(func: Callable[[], str]) -> str:
        calls.append(func)
        return guarded()

    return call


@pytest.mark.parametrize("script", ["xxx...", "xx.xx.xxx.", "x.x.x.x.x.", "xxxxx"])
def test_so_many_failures_in_a_row_open_it(clock: Time, script: str) -> None:
    seen = drive(through(failure_threshold=3), script)
    assert drive(ours(clock, failure_threshold=3).call, script) == seen


def test_one_trial_closes_or_opens_it(clock: Time) -> None:
    them = through(failure_threshold=1, recovery_timeout=30)
    us = ours(clock, failure_threshold=1, timeout_duration=30, success_threshold=1)
    for pause, script, expected in ((0, "x.", "x-"), (31, "x.", "x-"), (31, "..", "..")):
        clock.advance(pause)
        assert drive(them, script) == drive(us.call, script) == expected


@pytest.mark.parametrize(
    "rule",
    [Boom, (Boom, KeyError), lambda error: isinstance(error, Boom)],
    ids=["type", "types", "function"],
)
def test_only_expected_exceptions_count(clock: Time, rule: Any) -> None:
    expected = rule
    if not isinstance(rule, type | tuple):
        # Theirs asks with the type first.
        def expected(kind: type, error: Exception) -> bool:
            return bool(rule(error))

    them = through(failure_threshold=2, expected_exception=expected)
    us = ours(clock, failure_threshold=2, record=rule)
    assert drive(them, "ooooxx.") == drive(us.call, "ooooxx.") == "ooooxx-"


def test_an_unexpected_error_in_between_is_no_success_here(clock: Time) -> None:
    assert drive(through(failure_threshold=2, expected_exception=Boom), "xoxo.") == "xoxo."
    assert drive(ours(clock, failure_threshold=2, record=Boom).call, "xoxo.") == "xox--"


def test_a_fallback_answers_while_it_is_open(clock: Time) -> None:
    breaker = circuitbreaker.CircuitBreaker(1, fallback_function=lambda: "fallback")

    @breaker
    def theirs() -> str:
        raise Boom

    mine = ours(clock, failure_threshold=1)
    options = CallOptions(
        timeout=None, retries=1, circuit_breaker=mine, fallback=FallbackValue("fallback")
    )

    @resilient(options)
    def ours_here() -> str:
        raise Boom

    with pytest.raises(Boom):
        theirs()
    # Ours hides the first failure too; `count("fallback")` says how often.
    assert ours_here() == "fallback"
    assert theirs() == ours_here() == "fallback"
    assert mine.snapshot().counts["fallback"] == 2


async def test_coroutines(clock: Time) -> None:
    breaker = circuitbreaker.CircuitBreaker(2, name="posts")
    calls: list[Any] = []

    @breaker
    async def guarded() -> str:
        return str(await calls.pop()())

    async def theirs(func: Any) -> str:
        calls.append(func)
        return await guarded()

    us = ours(clock, failure_threshold=2)
    assert await adrive(theirs, "x.xx..") == await adrive(us.acall, "x.xx..") == "x.xx--"


async def test_generators_of_both_kinds(clock: Time) -> None:
    def numbers(n: int) -> Iterator[int]:
        yield from range(n)

    async def anumbers(n: int) -> AsyncIterator[int]:
        for number in range(n):
            yield number

    them, us = circuitbreaker.CircuitBreaker(2), ours(clock, failure_threshold=2)
    assert list(them(numbers)(3)) == list(us(numbers)(3)) == [0, 1, 2]
    assert [n async for n in them(anumbers)(3)] == [n async for n in us(anumbers)(3)] == [0, 1, 2]


def test_the_process_knows_its_breakers(clock: Time) -> None:
    mine = Registry()
    breaker = ours(clock, failure_threshold=1, name="posts", registry=mine)
    drive(breaker.call, "x")
    assert [each.name for each in mine.all() if each.state == "open"] == ["posts"]
    with pytest.raises(CircuitBreakerOpen) as refused:
        breaker.call(int)
    assert refused.value.breaker == "posts"
    assert breaker.snapshot().retry_after_s == 60.0


def test_a_crowd_makes_no_more_trials_than_allowed(clock: Time) -> None:
    # Theirs lets everybody in once the time is over, before the first trial has come back.
    them = through(failure_threshold=1, recovery_timeout=30)
    us = ours(clock, failure_threshold=1, timeout_duration=30)

    def nested(call: Callable[[Callable[[], str]], str]) -> list[str]:
        inside: list[str] = []

        def trial() -> str:
            inside.append(in_a_thread(lambda: drive(call, ".")))
            return "answer"

        call(trial)
        return inside

    for call in (them, us.call):
        drive(call, "x")
    clock.advance(31)
    assert nested(them) == ["."]
    assert nested(us.call) == ["-"]


def test_odd_errors_are_named_in_code() -> None:
    with pytest.raises(ValueError, match="string"):
        circuitbreaker.CircuitBreaker(expected_exception="Boom")
    with pytest.raises(TypeError, match="no exception type"):
        CircuitBreaker(record=(Odd, "Boom"))  # type: ignore[arg-type]
