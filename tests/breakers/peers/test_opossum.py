"""What a user of opossum expects, and its name here.

| opossum | here |
|---|---|
| `new CircuitBreaker(action, options).fire(...)` | `@resilient(CallOptions(...))` |
| `timeout` (ms), `resetTimeout` (ms) | `CallOptions.timeout`, `timeout_duration` (s) |
| `errorThresholdPercentage`, `volumeThreshold` | `failure_rate_threshold`, `minimum_calls` |
| `rollingCountTimeout`, `rollingCountBuckets` | `window_type="time"`, `window_size` |
| `capacity` | `Bulkhead(max_concurrent)` |
| `errorFilter` | `ignore` |
| `fallback()` | `fallback` |
| `cache`, `cacheTTL`, `cacheGetKey` | `ResilientCaller(cache)`, `cache_ttl`, `cache_key` |
| events `open`, `close`, `halfOpen` | `add_listener` |
| events `success`, `failure`, `timeout`, `reject`, `fallback`, `semaphoreLocked`, `cacheHit`, `cacheMiss` | `snapshot().counts` |
| `open()`, `close()`, `disable()`, `enable()` | `set_override`, `reset()` |
| `allowWarmUp` | `minimum_calls` |
| `AbortController` | a coroutine is cancelled, a thread frees its caller |
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from breakers import (
    Bulkhead,
    CallOptions,
    CallTimeout,
    CircuitBreaker,
    FallbackValue,
    ResilientCaller,
    State,
    TTLCache,
)
from tests.breakers.peers.side_by_side import Odd, Time, aanswer, aboom, adrive, ours


def opossum(clock: Time, **fields: Any) -> CircuitBreaker:
    defaults: dict[str, Any] = {
        "failure_threshold": None, "failure_rate_threshold": 0.5, "minimum_calls": 1,
        "window_type": "time", "window_size": 10, "timeout_duration": 30.0, "success_threshold": 1,
    }  # fmt: skip
    return ours(clock, **(defaults | fields))


async def test_the_first_failure_opens_it_unless_a_volume_is_asked_for(clock: Time) -> None:
    assert await adrive(opossum(clock).acall, "x..") == "x--"
    assert await adrive(opossum(clock, minimum_calls=5).acall, "xxxx") == "xxxx"


async def test_one_trial_after_the_reset_time(clock: Time) -> None:
    breaker = opossum(clock)
    for pause, script, expected in ((0, "x.", "x-"), (30, "x.", "x-"), (30, "..", "..")):
        clock.advance(pause)
        assert await adrive(breaker.acall, script) == expected


async def test_the_trials_of_a_crowd_do_not_race(clock: Time) -> None:
    # opossum issue: half-open lets more than one request through.
    breaker = opossum(clock)
    await adrive(breaker.acall, "x")
    clock.advance(30)
    trials = [asyncio.create_task(breaker.acall(asyncio.sleep, 0, "answer")) for _ in range(10)]
    seen = await asyncio.gather(*trials, return_exceptions=True)
    assert sum(each == "answer" for each in seen) == 1


async def test_an_action_is_called_off_at_its_timeout() -> None:
    ended: list[str] = []

    async def action() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("called off")
            raise

    breaker = CircuitBreaker()
    options = CallOptions(timeout=0.005, retries=1, circuit_breaker=breaker)
    with pytest.raises(CallTimeout):
        await ResilientCaller().acall(action, options)
    assert ended == ["called off"]
    assert breaker.snapshot().counts["timeout"] == 1


async def test_what_is_filtered_is_no_failure(clock: Time) -> None:
    breaker = opossum(clock, ignore=lambda error: isinstance(error, Odd))

    async def odd() -> None:
        raise Odd

    for _ in range(5):
        with pytest.raises(Odd):
            await breaker.acall(odd)
    assert breaker.state is State.CLOSED


async def test_every_event_is_counted() -> None:
    breaker, capacity = CircuitBreaker(failure_threshold=1), Bulkhead(1)
    caller = ResilientCaller(TTLCache())

    def options(**fields: Any) -> CallOptions:
        return CallOptions(
            timeout=None, retries=1, circuit_breaker=breaker, fallback=FallbackValue(0), **fields
        )

    for _ in range(2):
        await caller.acall(aanswer, options(cache_key="k"))
    with capacity:
        await caller.acall(aanswer, options(bulkhead=capacity))
    await caller.acall(aboom, options())
    await caller.acall(aanswer, options())
    counts = {name: n for name, n in breaker.snapshot().counts.items() if n}
    assert counts == {
        "success": 1, "failure": 1, "rejected": 1, "bulkhead_full": 1, "fallback": 3,
        "cache_hit": 1, "cache_miss": 1,
    }  # fmt: skip


async def test_a_forced_state_is_known_as_one(clock: Time) -> None:
    # opossum issue: whether it was opened by hand cannot be told.
    breaker = opossum(clock)
    breaker.set_override("forced_open", expires_in_s=60, id="incident 42")
    shot = breaker.snapshot()
    assert (shot.state, shot.automatic_state) == (State.FORCED_OPEN, State.CLOSED)
    assert shot.override is not None
    assert shot.override.id == "incident 42"


async def test_disabled_and_enabled_again(clock: Time) -> None:
    breaker = opossum(clock)
    breaker.set_override("forced_closed")
    assert await adrive(breaker.acall, "xxx.") == "xxx."
    breaker.set_override(None)
    assert await adrive(breaker.acall, ".x.") == ".x-"
