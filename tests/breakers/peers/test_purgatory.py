"""What a user of purgatory expects, and its name here.

| purgatory | here |
|---|---|
| `SyncCircuitBreakerFactory`, `AsyncCircuitBreakerFactory` | `Registry.get_or_create` |
| `threshold`, `ttl` | `failure_threshold`, `timeout_duration` |
| `exclude=[Error, (Error, predicate)]` | `ignore=` types, or a function of the error |
| `OpenedState` raised | `CircuitBreakerOpen` |
| `add_listener(hook)` | `add_listener` |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import purgatory
import pytest
from purgatory.domain.model import OpenedState

from breakers import CircuitBreaker, CircuitBreakerOpen, Registry
from tests.breakers.peers.side_by_side import Boom, Odd, Time, adrive, boom, drive, ours


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    time.stop(monkeypatch, "purgatory.domain.model")
    return time


def through(**fields: Any) -> Callable[[Callable[[], str]], str]:
    factory = purgatory.SyncCircuitBreakerFactory(**fields)

    def call(func: Callable[[], str]) -> str:
        with factory.get_breaker("posts"):
            return func()

    return call


@pytest.mark.parametrize("script", ["xxx...", "xx.xx.xxx.", "x.x.x.x.x."])
def test_so_many_failures_in_a_row_open_it(clock: Time, script: str) -> None:
    seen = drive(through(default_threshold=3), script)
    assert drive(ours(clock, failure_threshold=3).call, script) == seen


def test_one_trial_closes_or_opens_it(clock: Time) -> None:
    them = through(default_threshold=1, default_ttl=30)
    us = ours(clock, failure_threshold=1, timeout_duration=30, success_threshold=1)
    for pause, script, expected in ((0, "x.", "x-"), (31, "x.", "x-"), (31, "..", "..")):
        clock.advance(pause)
        assert drive(them, script) == drive(us.call, script) == expected


def test_what_is_excluded_is_no_failure(clock: Time) -> None:
    them = through(default_threshold=1, exclude=[Odd, (KeyError, lambda error: True)])
    us = ours(clock, failure_threshold=1, ignore=(Odd, KeyError))
    assert drive(them, "oox.") == drive(us.call, "oox.") == "oox-"


def test_a_factory_makes_one_for_each_name() -> None:
    factory, mine = purgatory.SyncCircuitBreakerFactory(), Registry()

    def ours_here() -> CircuitBreaker:
        return mine.get_or_create("posts", lambda: CircuitBreaker(name="posts", registry=None))

    assert factory.get_breaker("posts").context is factory.get_breaker("posts").context
    assert ours_here() is ours_here()


def test_a_refusal_says_which_and_here_for_how_long(clock: Time) -> None:
    them = through(default_threshold=1)
    us = ours(clock, failure_threshold=1, name="posts", registry=None)
    for call in (them, us.call):
        drive(call, "x")
    with pytest.raises(OpenedState, match="posts"):
        them(boom)
    with pytest.raises(CircuitBreakerOpen, match=r"posts.* in 60"):
        us.call(boom)


def test_hooks_hear_of_changes_of_state(clock: Time) -> None:
    heard: list[str] = []
    factory = purgatory.SyncCircuitBreakerFactory(default_threshold=1, default_ttl=30)
    factory.add_listener(lambda name, kind, event: heard.append(getattr(event, "state", "")))
    us = ours(clock, failure_threshold=1, timeout_duration=30, success_threshold=1)
    told: list[str] = []
    us.add_listener(lambda record: told.append(record.after))

    def them(func: Callable[[], str]) -> str:
        with factory.get_breaker("posts"):
            return func()

    for script in ("x", "."):
        for call in (them, us.call):
            drive(call, script)
        clock.advance(31)
    words = {"opened": "open", "half-opened": "half_open", "closed": "closed"}
    assert [words[state] for state in heard if state] == told == ["open", "half_open", "closed"]


async def test_coroutines(clock: Time) -> None:
    factory = purgatory.AsyncCircuitBreakerFactory(default_threshold=2)

    async def them(func: Any) -> str:
        async with await factory.get_breaker("posts"):
            return str(await func())

    us = ours(clock, failure_threshold=2)
    assert await adrive(them, "x.xx..") == await adrive(us.acall, "x.xx..") == "x.xx--"


def test_a_cancelled_call_is_no_failure(clock: Time) -> None:
    # Theirs counts every exception, an interrupt included.
    def interrupted() -> str:
        raise KeyboardInterrupt

    them, us = through(default_threshold=1), ours(clock, failure_threshold=1)
    for call in (them, us.call):
        with pytest.raises(KeyboardInterrupt):
            call(interrupted)
    assert drive(them, ".") == "-"
    assert drive(us.call, ".") == "."


def test_a_clock_that_is_set_back_keeps_nothing_open(clock: Time) -> None:
    them = through(default_threshold=1, default_ttl=30)
    us = ours(clock, failure_threshold=1, timeout_duration=30)
    for call in (them, us.call):
        drive(call, "x")
    clock.set_wall(clock.wall() - 86_400)
    clock.advance(31)
    assert (drive(them, "."), drive(us.call, ".")) == ("-", ".")


def test_an_error_keeps_its_traceback(clock: Time) -> None:
    with pytest.raises(Boom) as caught:
        ours(clock).call(boom)
    assert caught.traceback[-1].name == "boom"
