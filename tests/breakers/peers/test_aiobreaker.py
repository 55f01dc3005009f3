"""What a user of aiobreaker expects, and its name here.

| aiobreaker | here |
|---|---|
| `fail_max`, `timeout_duration` (a timedelta) | `failure_threshold`, `timeout_duration` (seconds) |
| `exclude` | `ignore` |
| `call`, `call_async`, `@breaker` | `call`, `acall`, `@breaker` |
| `CircuitBreakerError.time_remaining` | `CircuitBreakerOpen.retry_after_s` |
| `CircuitBreakerListener.state_change` | `add_listener` |
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import aiobreaker
import pytest

from breakers import CircuitBreakerOpen
from tests.breakers.peers.side_by_side import Boom, Odd, Time, aboom, adrive, drive, ours


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    for module in ("aiobreaker.circuitbreaker", "aiobreaker.state"):
        time.stop(monkeypatch, module)
    return time


def theirs(seconds: float = 60, **fields: Any) -> aiobreaker.CircuitBreaker:
    return aiobreaker.CircuitBreaker(timeout_duration=timedelta(seconds=seconds), **fields)


def own_error(
    breaker: aiobreaker.CircuitBreaker,
) -> Callable[[Callable[[], Awaitable[str]]], Awaitable[str]]:
    """Their tripping call raises CircuitBreakerError in the place of the callee's; ours does not."""

    async def call(func: Callable[[], Awaitable[str]]) -> str:
        try:
            return str(await breaker.call_async(func))
        except aiobreaker.CircuitBreakerError as error:
            raise (error.__cause__ or error) from None

    return call


@pytest.mark.parametrize("script", ["xxx...", "xx.xx.xxx.", "x.x.x.x.x."])
async def test_so_many_failures_in_a_row_open_it(clock: Time, script: str) -> None:
    seen = await adrive(own_error(theirs(fail_max=3)), script)
    assert await adrive(ours(clock, failure_threshold=3).acall, script) == seen


async def test_one_trial_closes_or_opens_it(clock: Time) -> None:
    them = own_error(theirs(30, fail_max=1))
    us = ours(clock, failure_threshold=1, timeout_duration=30, success_threshold=1)
    for pause, script, expected in ((0, "x.", "x-"), (31, "x.", "x-"), (31, "..", "..")):
        clock.advance(pause)
        assert await adrive(them, script) == await adrive(us.acall, script) == expected


def test_functions_too(clock: Time) -> None:
    assert drive(theirs(fail_max=3).call, "x.xx.") == drive(
        ours(clock, failure_threshold=3).call, "x.xx."
    )


def test_what_is_excluded_is_no_failure(clock: Time) -> None:
    them, us = theirs(fail_max=2, exclude=[Odd]), ours(clock, failure_threshold=2, ignore=Odd)
    assert drive(them.call, "oooo.") == drive(us.call, "oooo.") == "oooo."


async def test_coroutine_functions_are_decorated(clock: Time) -> None:
    async def double(n: int) -> int:
        return 2 * n

    assert await theirs()(double)(4) == await ours(clock)(double)(4) == 8


async def test_a_refusal_says_for_how_long(clock: Time) -> None:
    us = ours(clock, failure_threshold=1, timeout_duration=30)
    with pytest.raises(Boom):
        await us.acall(aboom)
    clock.advance(10)
    with pytest.raises(CircuitBreakerOpen) as refused:
        await us.acall(aboom)
    assert refused.value.retry_after_s == 20.0


async def test_listeners_are_told_of_changes_of_state(clock: Time) -> None:
    heard: list[str] = []

    class Listener(aiobreaker.CircuitBreakerListener):  # type: ignore[misc]
        def state_change(self, breaker: Any, old: Any, new: Any) -> None:
            heard.append(new.state.name.lower())

    them = theirs(30, fail_max=1, listeners=[Listener()])
    us = ours(clock, failure_threshold=1, timeout_duration=30, success_threshold=1)
    told: list[str] = []
    us.add_listener(lambda record: told.append(record.after))
    for script in ("x", "."):
        await adrive(own_error(them), script)
        await adrive(us.acall, script)
        clock.advance(31)
    assert heard == told == ["open", "half_open", "closed"]


async def test_a_cancelled_trial_gives_its_turn_back(clock: Time) -> None:
    us = ours(clock, failure_threshold=1, timeout_duration=30, success_threshold=1)
    await adrive(us.acall, "x")
    clock.advance(31)
    trial = asyncio.create_task(us.acall(asyncio.Event().wait))
    await asyncio.sleep(0)
    assert await adrive(us.acall, ".") == "-"
    trial.cancel()
    await asyncio.wait([trial])
    assert await adrive(us.acall, ".") == "."


async def test_a_crowd_makes_no_more_trials_than_allowed(clock: Time) -> None:
    # Theirs lets everybody in while the first trial is under way.
    go = asyncio.Event()

    async def crowd(call: Callable[[Callable[[], Any]], Awaitable[Any]]) -> int:
        inside = 0

        async def trial() -> None:
            nonlocal inside
            inside += 1
            await go.wait()

        tasks = [asyncio.ensure_future(call(trial)) for _ in range(5)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        count, _ = inside, go.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        go.clear()
        return count

    them, us = (
        own_error(theirs(30, fail_max=1)),
        ours(clock, failure_threshold=1, timeout_duration=30),
    )
    await adrive(them, "x")
    await adrive(us.acall, "x")
    clock.advance(31)
    assert (await crowd(them), await crowd(us.acall)) == (5, 1)
