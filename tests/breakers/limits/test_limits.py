"""Bulkhead, adaptive limit and rate limiter: what they let in, whom they hold, whom they refuse."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from breakers import (
    AdaptiveLimit,
    Bulkhead,
    BulkheadFull,
    PolicyError,
    timeout,
)
from tests.breakers.limits.polling import until


class TestBulkhead:
    def test_one_more_than_allowed_is_refused_and_counted(self) -> None:
        bulkhead = Bulkhead(2)
        with bulkhead, bulkhead:
            assert bulkhead.in_flight == 2
            with pytest.raises(BulkheadFull, match="all 2 slots"):
                bulkhead.acquire()
        assert (bulkhead.in_flight, bulkhead.rejected) == (0, 1)

    def test_an_error_inside_gives_the_slot_back(self) -> None:
        bulkhead = Bulkhead(1)
        with pytest.raises(KeyError), bulkhead:
            raise KeyError
        assert bulkhead.in_flight == 0

    def test_who_waits_is_served_in_order(self) -> None:
        bulkhead, served = Bulkhead(1, max_wait=5.0), []

        def come(n: int) -> None:
            with bulkhead:
                served.append(n)

        bulkhead.acquire()
        crowd = []
        for n in range(5):
            crowd.append(threading.Thread(target=come, args=(n,)))
            crowd[-1].start()
            until(lambda n=n: bulkhead.waiting == n + 1)  # type: ignore[misc]
        bulkhead.release()
        for thread in crowd:
            thread.join(5)
        assert served == [0, 1, 2, 3, 4]
        assert (bulkhead.in_flight, bulkhead.waiting) == (0, 0)

    def test_nobody_waits_longer_than_allowed(self) -> None:
        bulkhead = Bulkhead(1, max_wait=0.01)
        with bulkhead, pytest.raises(BulkheadFull):
            bulkhead.acquire()
        assert (bulkhead.in_flight, bulkhead.waiting) == (0, 0)

    def test_nobody_waits_beyond_the_deadline(self) -> None:
        bulkhead = Bulkhead(1, max_wait=60.0)
        began = time.monotonic()
        with bulkhead, pytest.raises((BulkheadFull, TimeoutError)), timeout(0.02):
            bulkhead.acquire()
        assert time.monotonic() - began < 5
        assert bulkhead.waiting == 0

    def test_who_is_interrupted_while_waiting_leaves_the_line(self) -> None:
        bulkhead = Bulkhead(1, max_wait=60.0)
        bulkhead.acquire()

        def recent(number: int, frame: FrameType | None) -> None:
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, recent)
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        try:
            with pytest.raises(KeyboardInterrupt):
                bulkhead.acquire()
        finally:
            signal.signal(signal.SIGALRM, before)
        assert bulkhead.waiting == 0
        bulkhead.release()
        assert bulkhead.in_flight == 0

    def test_a_child_that_leaves_its_parents_block_has_no_slot_too_many(self) -> None:
        bulkhead = Bulkhead(1)
        bulkhead.acquire()
        child = os.fork()
        if not child:
            bulkhead.release()
            os._exit(abs(bulkhead.in_flight))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    async def test_coroutines_wait_and_leave_the_line_when_cancelled(self) -> None:
        bulkhead = Bulkhead(1, max_wait=5.0)
        async with bulkhead:
            gone, patient = (asyncio.create_task(self.pass_through(bulkhead)) for _ in range(2))
            await asyncio.sleep(0)
            assert bulkhead.waiting == 2
            gone.cancel()
            with pytest.raises(asyncio.CancelledError):
                await gone
            assert bulkhead.waiting == 1
        assert await patient == 1
        assert bulkhead.in_flight == 0

    async def test_a_coroutine_that_is_cancelled_with_a_slot_in_hand_gives_it_on(self) -> None:
        bulkhead = Bulkhead(1, max_wait=5.0)
        await bulkhead.aacquire()
        waiting = asyncio.create_task(self.pass_through(bulkhead))
        await asyncio.sleep(0)
        bulkhead.release()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert bulkhead.in_flight == 0

    async def test_a_coroutine_waits_no_longer_than_allowed(self) -> None:
        bulkhead = Bulkhead(1, max_wait=0.01)
        async with bulkhead:
            with pytest.raises(BulkheadFull):
                await bulkhead.aacquire()
        assert (bulkhead.in_flight, bulkhead.waiting, bulkhead.rejected) == (0, 0, 1)

    def test_a_line_whose_loop_is_gone_blocks_nobody(self) -> None:
        bulkhead = Bulkhead(1, max_wait=60.0)
        bulkhead.acquire()

        async def come_and_stop() -> None:
            asyncio.get_running_loop().call_soon(asyncio.get_running_loop().stop)
            await bulkhead.aacquire()

        loop = asyncio.new_event_loop()
        task = loop.create_task(come_and_stop())
        loop.run_forever()
        loop.close()
        bulkhead.release()
        assert bulkhead.in_flight == 0
        bulkhead.acquire()
        task._log_destroy_pending = False  # type: ignore[attr-defined]

    @staticmethod
    async def pass_through(bulkhead: Bulkhead) -> int:
        async with bulkhead:
            return bulkhead.in_flight

    def test_a_crowd_never_exceeds_it(self) -> None:
        bulkhead, seen = Bulkhead(3, max_wait=5.0), []

        def come() -> None:
            for _ in range(200):
                with bulkhead:
                    seen.append(bulkhead.in_flight)

        crowd = [threading.Thread(target=come) for _ in range(8)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join(20)
        assert len(seen) == 1600
        assert max(seen) <= 3
        assert bulkhead.in_flight == 0

    def test_a_child_has_all_its_slots(self) -> None:
        bulkhead = Bulkhead(1)
        with bulkhead:
            child = os.fork()
            if not child:
                os._exit(bulkhead.in_flight)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    @pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "2"])
    def test_misuse_is_refused(self, wrong: Any) -> None:
        with pytest.raises(PolicyError, match="max_concurrent is"):
            Bulkhead(wrong)
        with pytest.raises(PolicyError, match="max_wait is -1"):
            Bulkhead(1, max_wait=-1)


class TestAdaptiveLimit:
    def run(self, limit: AdaptiveLimit, latency: Callable[[int], float], calls: int = 400) -> int:
        """Calls that always use the whole limit."""
        for _ in range(calls):
            size = limit.max_concurrent
            for _ in range(size):
                limit.acquire()
            limit.observe(latency(size))
            for _ in range(size):
                limit.release()
        return limit.max_concurrent

    def test_it_grows_while_latency_stays(self) -> None:
        assert self.run(AdaptiveLimit(10, maximum=200), lambda size: 0.01) == 200

    def test_it_settles_where_the_dependency_begins_to_queue(self) -> None:
        limit = AdaptiveLimit(5, maximum=1000)
        # A dependency that serves 40 at once in 10 ms; more than that queue.
        settled = self.run(limit, lambda size: 0.01 * max(1.0, size / 40))
        assert 40 <= settled <= 120

    def test_overload_shrinks_it_to_its_minimum_and_no_further(self) -> None:
        limit = AdaptiveLimit(20, minimum=3)
        for _ in range(100):
            with pytest.raises(TimeoutError), limit:
                raise TimeoutError
        assert limit.max_concurrent == 3

    def test_an_idle_limit_learns_nothing(self) -> None:
        limit = AdaptiveLimit(20)
        for _ in range(100):
            with limit:
                pass
        assert limit.max_concurrent == 20

    async def test_coroutines_share_it(self) -> None:
        limit = AdaptiveLimit(1)
        async with limit:
            with pytest.raises(BulkheadFull):
                await limit.aacquire()
        assert limit.in_flight == 0

    def test_leaving_what_was_not_entered_is_an_error(self) -> None:
        with pytest.raises(RuntimeError, match="not entered"):
            AdaptiveLimit().__exit__(None, None, None)

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"minimum": 0}, "minimum"),
            ({"minimum": 21}, "minimum"),
            ({"maximum": 19}, "maximum"),
            ({"tolerance": 0.5}, "tolerance"),
        ],
    )
    def test_misuse_is_refused(self, fields: dict[str, Any], field: str) -> None:
        with pytest.raises(PolicyError, match=f"{field} is"):
            AdaptiveLimit(20, **fields)
