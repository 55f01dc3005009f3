"""Bulkheads and rate limits serve what matters most, and turn away the least important first."""

from __future__ import annotations

import asyncio

import pytest

from breakers import AdaptiveLimit, Bulkhead, BulkheadFull, RateLimited, RateLimiter, criticality
from breakers.testing import FakeClock


def test_sheddable_calls_leave_the_last_quarter_of_the_slots_to_others() -> None:
    bulkhead = Bulkhead(4)
    with criticality("sheddable"):
        for _ in range(3):
            bulkhead.acquire()
        with pytest.raises(BulkheadFull):
            bulkhead.acquire()
    bulkhead.acquire()
    assert bulkhead.in_flight == 4


def test_sheddable_calls_may_use_a_bulkhead_of_one_and_a_limit_that_has_shrunk() -> None:
    for limit in (Bulkhead(1), AdaptiveLimit(1)):
        with criticality("sheddable"), limit:
            assert limit.in_flight == 1


async def come(bulkhead: Bulkhead, level: str, served: list[str]) -> None:
    with criticality(level):
        async with bulkhead:
            served.append(level)


def test_who_matters_most_is_served_first() -> None:
    async def scenario() -> list[str]:
        bulkhead, served = Bulkhead(1, max_wait=30.0), []
        await bulkhead.aacquire()
        waiting = []
        for n, level in enumerate(("sheddable", "default", "critical", "default"), 1):
            waiting.append(asyncio.create_task(come(bulkhead, level, served)))
            while bulkhead.waiting < n:
                await asyncio.sleep(0)
        bulkhead.release()
        await asyncio.gather(*waiting)
        return served

    assert asyncio.run(scenario()) == ["critical", "default", "default", "sheddable"]


def test_in_a_full_line_the_least_important_gives_way() -> None:
    async def scenario() -> list[object]:
        bulkhead, served = Bulkhead(1, max_wait=30.0, max_waiting=2), []
        await bulkhead.aacquire()
        waiting = []
        for level in ("sheddable", "default"):
            waiting.append(asyncio.create_task(come(bulkhead, level, served)))
            await asyncio.sleep(0)
        late = asyncio.create_task(come(bulkhead, "critical", served))
        with pytest.raises(BulkheadFull):
            await waiting[0]
        with pytest.raises(BulkheadFull, match="wait already"):
            await come(bulkhead, "default", served)
        bulkhead.release()
        await asyncio.gather(waiting[1], late)
        assert (bulkhead.in_flight, bulkhead.waiting, bulkhead.rejected) == (0, 0, 2)
        return served

    assert asyncio.run(scenario()) == ["critical", "default"]


def test_sheddable_calls_leave_a_quarter_of_the_burst_to_others() -> None:
    limiter = RateLimiter(4, per=60, clock=FakeClock())
    with criticality("sheddable"):
        for _ in range(3):
            limiter.acquire()
        with pytest.raises(RateLimited):
            limiter.acquire()
    assert limiter.acquire() == 0.0


def test_at_a_limit_without_a_burst_sheddable_calls_take_turns_that_others_leave() -> None:
    clock = FakeClock()
    limiter = RateLimiter(60, per=60, burst=1, clock=clock)
    limiter.acquire()
    clock.advance(1.0)
    with criticality("sheddable"), pytest.raises(RateLimited):
        limiter.acquire()
    assert limiter.acquire() == 0.0
    clock.advance(1.5)
    with criticality("sheddable"):
        assert limiter.acquire() == 0.0
