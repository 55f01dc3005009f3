"""The rate limiter: how many calls a second it admits."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from breakers import (
    PolicyError,
    RateLimited,
    RateLimiter,
    timeout,
)
from breakers.testing import FakeClock


class TestRateLimiter:
    def test_a_burst_and_then_an_even_rate(self) -> None:
        clock = FakeClock()
        limiter = RateLimiter(10, per=1.0, burst=3, clock=clock)
        assert [limiter.acquire() for _ in range(3)] == [0.0, 0.0, 0.0]
        with pytest.raises(RateLimited) as refused:
            limiter.acquire()
        assert refused.value.retry_after_s == pytest.approx(0.1)
        clock.advance(0.1)
        assert limiter.acquire() == 0.0
        assert limiter.rejected == 1

    def test_over_any_time_it_lets_no_more_than_rate_and_burst_pass(self) -> None:
        clock, passed = FakeClock(), 0
        limiter = RateLimiter(7, per=1.0, burst=2, clock=clock)
        for _ in range(1000):
            clock.advance(0.01)
            try:
                limiter.acquire()
            except RateLimited:
                continue
            passed += 1
        assert 70 <= passed <= 72

    def test_who_may_wait_is_held_back_in_turn(self) -> None:
        clock = FakeClock()
        slept: list[float] = []
        limiter = RateLimiter(10, burst=1, max_wait=0.25, clock=clock, sleep=slept.append)
        for _ in range(3):
            limiter.acquire()
        assert slept == pytest.approx([0.1, 0.2])
        with pytest.raises(RateLimited):
            limiter.acquire()

    async def test_coroutines_wait_without_blocking(self) -> None:
        limiter = RateLimiter(100, burst=1, max_wait=1.0)
        waits = await asyncio.gather(*(limiter.aacquire() for _ in range(3)))
        assert [round(wait, 2) for wait in waits] == [0.0, 0.01, 0.02]

    async def test_a_turn_that_nobody_waits_for_any_more_goes_to_the_next(self) -> None:
        clock = FakeClock()

        def interrupted(seconds: float) -> None:
            raise KeyboardInterrupt

        async def cancelled(seconds: float) -> None:
            raise asyncio.CancelledError

        limiter = RateLimiter(
            1, per=10, max_wait=60, clock=clock, sleep=interrupted, asleep=cancelled
        )
        assert limiter.acquire() == 0
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                limiter.acquire()
            with pytest.raises(asyncio.CancelledError):
                await limiter.aacquire()
        clock.advance(10)
        assert limiter.acquire() == 0

    async def test_but_those_behind_it_keep_theirs(self) -> None:
        limiter = RateLimiter(1, per=1.0, max_wait=60, clock=FakeClock())
        assert await limiter.aacquire() == 0
        waiting = [asyncio.create_task(limiter.aacquire()) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.wait([waiting[0]])
        limiter.max_wait = 2.5
        with pytest.raises(RateLimited, match=r"in 3\.0 s"):
            limiter.acquire()
        waiting[1].cancel()
        await asyncio.wait([waiting[1]])

    def test_nobody_is_held_beyond_the_deadline(self) -> None:
        limiter = RateLimiter(1, per=10.0, max_wait=60.0)
        limiter.acquire()
        with pytest.raises(RateLimited), timeout(1.0):
            limiter.acquire()

    def test_a_crowd_gets_exactly_the_burst(self) -> None:
        limiter, passed = RateLimiter(500, per=3600.0), []

        def come() -> None:
            for _ in range(200):
                try:
                    passed.append(limiter.acquire())
                except RateLimited:
                    continue

        crowd = [threading.Thread(target=come) for _ in range(8)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join(20)
        assert len(passed) == 500

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"calls": 0}, "calls"),
            ({"calls": 1, "per": 0}, "per"),
            ({"calls": 1, "burst": 0}, "burst"),
            ({"calls": 1, "max_wait": -1}, "max_wait"),
        ],
    )
    def test_misuse_is_refused(self, fields: dict[str, Any], field: str) -> None:
        with pytest.raises(PolicyError, match=f"{field} is"):
            RateLimiter(**fields)
