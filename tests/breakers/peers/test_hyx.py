"""What a user of hyx expects, and its name here.

| hyx | here |
|---|---|
| `consecutive_breaker(failure_threshold, recovery_time_secs, recovery_threshold)` | `CircuitBreaker(failure_threshold, timeout_duration, success_threshold)` |
| `exceptions` | `record` |
| `BreakerFailing` | `CircuitBreakerOpen` |
| `@retry(attempts, backoff, on)` | `CallOptions.retries`, `retry_delay`, `retry_on`; `attempts` are retries on top there |
| `@timeout(max_delay_secs)` | `CallOptions.timeout` |
| `@bulkhead(max_concurrency, max_capacity)` | `Bulkhead(max_concurrent, max_wait)` |
| `@fallback(handler)` | `CallOptions.fallback` |
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import Any

import hyx.bulkhead
import hyx.circuitbreaker
import hyx.fallback
import hyx.retry
import hyx.timeout
import pytest
from hyx.timeout.exceptions import MaxDurationExceeded

from breakers import Bulkhead, CallOptions, CallTimeout, ResilientCaller
from tests.breakers.peers.side_by_side import Boom, Time, adrive, ours


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    time.stop(monkeypatch, "hyx.circuitbreaker.states")
    return time


def through(**fields: Any) -> Callable[[Callable[[], Awaitable[str]]], Awaitable[str]]:
    breaker = hyx.circuitbreaker.consecutive_breaker(**fields)

    async def call(func: Callable[[], Awaitable[str]]) -> str:
        async with breaker:
            return await func()

    return call


@pytest.mark.parametrize("script", ["xxx...", "xx.xx.xxx.", "x.x.x.x.x."])
async def test_so_many_failures_in_a_row_open_it(clock: Time, script: str) -> None:
    seen = await adrive(through(failure_threshold=3), script)
    assert await adrive(ours(clock, failure_threshold=3).acall, script) == seen


async def test_it_closes_after_so_many_successes(clock: Time) -> None:
    them = through(failure_threshold=1, recovery_time_secs=30, recovery_threshold=3)
    us = ours(clock, failure_threshold=1, timeout_duration=30, success_threshold=3)
    for pause, script, expected in ((0, "x.", "x-"), (31, "..x.", "..x-"), (31, "....", "....")):
        clock.advance(pause)
        assert await adrive(them, script) == await adrive(us.acall, script) == expected


async def test_attempts(clock: Time) -> None:
    def failing(times: int) -> Callable[[], Awaitable[int]]:
        asked: list[int] = []

        async def service() -> int:
            asked.append(1)
            if len(asked) <= times:
                raise Boom
            return len(asked)

        return service

    async def no_pause(seconds: float) -> None:
        pass

    # Theirs counts the retries, ours the attempts in all.
    them = hyx.retry.retry(on=Boom, attempts=2, backoff=0.0)
    options = CallOptions(timeout=None, retries=3, retry_delay=0.0, retry_on=Boom)
    us = ResilientCaller(asleep=no_pause)
    assert await them(failing(2))() == await us.acall(failing(2), options) == 3


async def test_a_timeout() -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    with pytest.raises(MaxDurationExceeded):
        await hyx.timeout.timeout(max_delay_secs=0.01)(never)()
    with pytest.raises(CallTimeout):
        await ResilientCaller().acall(never, CallOptions(timeout=0.01, retries=1))


async def test_a_bulkhead() -> None:
    async def most(guard: Any) -> int:
        running = highest = 0

        async def work() -> None:
            nonlocal running, highest
            async with guard:
                running += 1
                highest = max(highest, running)
                await asyncio.sleep(0)
                running -= 1

        await asyncio.gather(*(work() for _ in range(6)))
        return highest

    them = hyx.bulkhead.bulkhead(max_concurrency=2, max_capacity=6)
    assert await most(them) == await most(Bulkhead(2, max_wait=5.0)) == 2


async def test_a_fallback() -> None:
    async def broken() -> str:
        raise Boom

    async def instead() -> str:
        return "fallback"

    async def handler(*_: Any, **__: Any) -> str:
        return "fallback"

    them = hyx.fallback.fallback(handler)(broken)
    options = CallOptions(timeout=None, retries=1, fallback=instead)
    assert await them() == await ResilientCaller().acall(broken, options) == "fallback"


async def test_a_clock_that_is_set_back_keeps_nothing_open(clock: Time) -> None:
    them = through(failure_threshold=1, recovery_time_secs=30)
    us = ours(clock, failure_threshold=1, timeout_duration=30)
    for call in (them, us.acall):
        await adrive(call, "x")
    clock.set_wall(clock.wall() - 86_400)
    clock.advance(31)
    assert (await adrive(them, "."), await adrive(us.acall, ".")) == ("-", ".")


async def test_a_crowd_makes_no_more_trials_than_allowed(clock: Time) -> None:
    async def inside(call: Callable[[Callable[[], Any]], Awaitable[Any]]) -> str:
        seen: list[str] = []

        async def trial() -> str:
            # Another caller: a task with a context of its own, no part of the trial.
            other = asyncio.create_task(adrive(call, "."), context=contextvars.Context())
            seen.append(await other)
            return "answer"

        await call(trial)
        return seen[0]

    them = through(failure_threshold=1, recovery_time_secs=30)
    us = ours(clock, failure_threshold=1, timeout_duration=30)
    for call in (them, us.acall):
        await adrive(call, "x")
    clock.advance(31)
    # Theirs has no bound on trials at once.
    assert (await inside(them), await inside(us.acall)) == (".", "-")
