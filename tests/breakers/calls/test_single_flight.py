"""Single flight: concurrent calls with the same key share one call."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from breakers import (
    CallOptions,
    CallTimeout,
    ResilientCaller,
    TTLCache,
)
from breakers.calls.single_flight import SingleFlight
from breakers.deadline import bounded
from tests.breakers.calls.calling import Boom


class TestSingleFlight:
    def test_threads_that_ask_at_once_ask_once(self) -> None:
        arrived, go = threading.Event(), threading.Event()
        asked: list[int] = []
        answers: list[int] = []

        def service() -> int:
            asked.append(1)
            arrived.set()
            assert go.wait(5)
            return 42

        caller = ResilientCaller(TTLCache())
        options = CallOptions(timeout=None, cache_key="k")
        crowd = [
            threading.Thread(target=lambda: answers.append(caller.call(service, options)))
            for _ in range(8)
        ]
        crowd[0].start()
        assert arrived.wait(5)
        for thread in crowd[1:]:
            thread.start()
        go.set()
        for thread in crowd:
            thread.join(5)
        assert (len(asked), answers) == (1, [42] * 8)

    async def test_coroutines_that_ask_at_once_ask_once(self) -> None:
        asked: list[int] = []

        async def service() -> int:
            asked.append(1)
            await asyncio.sleep(0.01)
            return 42

        caller = ResilientCaller(TTLCache())
        options = CallOptions(timeout=None, cache_key="k")
        crowd = await asyncio.gather(*(caller.acall(service, options) for _ in range(8)))
        assert (len(asked), crowd) == (1, [42] * 8)

    async def test_who_waits_gets_the_failure_too(self) -> None:
        async def service() -> int:
            await asyncio.sleep(0.01)
            raise Boom

        caller = ResilientCaller(TTLCache())
        options = CallOptions(timeout=None, retries=1, cache_key="k")
        crowd = await asyncio.gather(
            *(caller.acall(service, options) for _ in range(3)), return_exceptions=True
        )
        assert [type(each) for each in crowd] == [Boom] * 3

    async def test_where_the_one_who_asks_is_cancelled_the_next_asks(self) -> None:
        asked: list[int] = []

        async def service() -> int:
            asked.append(1)
            await asyncio.sleep(0.01)
            return len(asked)

        flights = SingleFlight()
        first = asyncio.create_task(flights.arun("k", service))
        await asyncio.sleep(0)
        second = asyncio.create_task(flights.arun("k", service))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == 2
        with pytest.raises(asyncio.CancelledError):
            await first

    def test_nobody_waits_for_another_beyond_the_deadline(self) -> None:
        flights, arrived, go = SingleFlight(), threading.Event(), threading.Event()

        def service() -> bool:
            arrived.set()
            return go.wait(5)

        leader = threading.Thread(target=flights.run, args=("k", service))
        leader.start()
        assert arrived.wait(5)
        with pytest.raises(CallTimeout), bounded(0.02):
            flights.run("k", int)
        go.set()
        leader.join(5)
        assert flights.run("k", int) == 0

    def test_a_call_that_asks_for_itself_does_not_wait_for_itself(self) -> None:
        flights = SingleFlight()
        assert flights.run("k", lambda: flights.run("k", lambda: 42)) == 42

    async def test_nor_does_a_coroutine(self) -> None:
        flights = SingleFlight()

        async def inner() -> int:
            return 42

        async def outer() -> int:
            return int(await flights.arun("k", inner))

        assert await asyncio.wait_for(flights.arun("k", outer), 5) == 42

    def test_a_child_does_not_wait_for_its_parents_calls(self) -> None:
        flights, arrived, go = SingleFlight(), threading.Event(), threading.Event()

        def service() -> bool:
            arrived.set()
            return go.wait(5)

        leader = threading.Thread(target=flights.run, args=("k", service))
        leader.start()
        assert arrived.wait(5)
        child = os.fork()
        if not child:
            os._exit(flights.run("k", int))
        go.set()
        leader.join(5)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class TestWithoutACache:
    def test_threads_share_a_call(self) -> None:
        caller, made, go = ResilientCaller(), [], threading.Event()
        options = CallOptions(timeout=None, retries=1, cache_key="k")

        def service() -> str:
            made.append(1)
            go.wait(5)
            return "answer"

        answers: list[str] = []
        threads = [
            threading.Thread(target=lambda: answers.append(caller.call(service, options)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        while not made:
            pass
        threading.Timer(0.2, go.set).start()
        for thread in threads:
            thread.join(5)
        assert (answers, len(made)) == (["answer"] * 4, 1)
        assert caller.call(service, options) == "answer"
        assert len(made) == 2

    async def test_coroutines_share_a_call(self) -> None:
        caller, made = ResilientCaller(), 0
        options = CallOptions(timeout=None, retries=1, cache_key="k")

        async def service() -> str:
            nonlocal made
            made += 1
            await asyncio.sleep(0.01)
            return "answer"

        answers = await asyncio.gather(*(caller.acall(service, options) for _ in range(4)))
        assert (answers, made) == (["answer"] * 4, 1)

    async def test_each_has_its_own_where_it_is_switched_off(self) -> None:
        caller, made = ResilientCaller(), 0
        options = CallOptions(timeout=None, retries=1, cache_key="k", single_flight=False)

        async def service() -> None:
            nonlocal made
            made += 1
            await asyncio.sleep(0.01)

        await asyncio.gather(*(caller.acall(service, options) for _ in range(4)))
        assert made == 4
