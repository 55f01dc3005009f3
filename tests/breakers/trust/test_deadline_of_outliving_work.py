"""A deadline outlives its call: work that goes on after a call is free of the call's deadline."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from breakers import (
    CallOptions,
    CallTimeout,
    ResilientCaller,
    agather,
    current_deadline,
    gather,
    no_deadline,
    remaining,
    timeout,
)
from breakers.deadline import bounded

QUICK = CallOptions(timeout=0.05, retries=1)
caller = ResilientCaller()


async def fresh() -> str:
    return "fresh"


async def test_calls_of_a_task_that_a_call_started_have_their_own_time() -> None:
    answers: list[str] = []

    async def refresh() -> None:
        for _ in range(3):
            await asyncio.sleep(0.04)
            answers.append(await caller.acall(fresh, QUICK))

    async def token() -> asyncio.Task[None]:
        return asyncio.create_task(refresh())

    await (await caller.acall(token, QUICK))
    assert answers == ["fresh"] * 3


@pytest.mark.parametrize("bound", [timeout, bounded], ids=["timeout", "bounded"])
async def test_a_task_that_a_block_started_has_no_deadline_after_it(
    bound: Callable[[float], timeout | bounded],
) -> None:
    leave = asyncio.Event()

    async def outlive() -> tuple[bool, float | None]:
        before = remaining()
        await leave.wait()
        return before is not None, remaining()

    with bound(30.0):
        task = asyncio.create_task(outlive())
        await asyncio.sleep(0)
    leave.set()
    assert await task == (True, None)


async def test_an_outer_deadline_that_still_runs_goes_on_holding() -> None:
    async def read() -> float | None:
        await asyncio.sleep(0.01)
        return remaining()

    async def start() -> asyncio.Task[float | None]:
        return asyncio.create_task(read())

    with bounded(30.0):
        left = await (await caller.acall(start, QUICK))
    assert left is not None
    assert 20 < left <= 30


async def test_a_task_of_a_fan_out_is_free_after_it() -> None:
    tasks: list[asyncio.Task[float | None]] = []

    async def read() -> float | None:
        await asyncio.sleep(0.01)
        return remaining()

    async def start() -> None:
        tasks.append(asyncio.create_task(read()))

    await agather({"one": start}, timeout=5.0)
    assert await tasks[0] is None


def test_a_thread_with_the_context_of_a_call_is_free_after_it() -> None:
    contexts: list[contextvars.Context] = []
    caller.call(lambda: contexts.append(contextvars.copy_context()), CallOptions(timeout=5.0))
    assert contexts[0].run(remaining) is None


@pytest.mark.parametrize("strategy", ["thread", "gather"])
def test_an_isolated_callee_that_outlives_its_caller_sees_that_its_time_is_up(
    strategy: str,
) -> None:
    seen: list[float | None] = []
    late, done = threading.Event(), threading.Event()

    def callee() -> None:
        late.wait(10)
        seen.append(remaining())
        done.set()

    if strategy == "thread":
        with suppress(CallTimeout):
            options = CallOptions(timeout=0.02, retries=1, strategy="thread")
            caller.call(callee, options)
    else:
        gather({"one": callee}, timeout=0.02)
    late.set()
    assert done.wait(10)
    assert seen == [0.0]


class TestOutsideTheDeadline:
    def test_a_block_has_none(self) -> None:
        with bounded(5.0):
            with no_deadline():
                assert (current_deadline(), remaining()) == (None, None)
            assert remaining() is not None

    async def test_what_it_calls_has_its_own_time(self) -> None:
        async def slow() -> str:
            await asyncio.sleep(0.03)
            return "done"

        async def work() -> str:
            async with no_deadline():
                return await caller.acall(slow, CallOptions(timeout=5.0))

        with bounded(0.02):
            assert await work() == "done"

    async def test_what_it_starts_has_none_at_once(self) -> None:
        async def read() -> float | None:
            return remaining()

        with bounded(5.0):
            with no_deadline():
                task = asyncio.create_task(read())
            assert await task is None


class TestBlocksLeftInAnotherContext:
    """Starlette enters and leaves a sync dependency in two copies of a context."""

    @pytest.mark.parametrize("make", [lambda: timeout(5.0), lambda: bounded(5.0), no_deadline])
    def test_they_are_left(self, make: Callable[[], timeout | bounded | no_deadline]) -> None:
        block = make()

        def run() -> None:
            contextvars.copy_context().run(block.__enter__)
            contextvars.copy_context().run(block.__exit__, None, None, None)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join(5)
        assert remaining() is None


async def test_a_chain_of_tasks_keeps_no_chain_of_deadlines() -> None:
    async def link(n: int) -> Awaitable[object] | None:
        return asyncio.create_task(step(n - 1)) if n else None

    depths: list[int] = []

    async def step(n: int) -> object:
        await asyncio.sleep(0)
        deadline, depth = current_deadline(), 0
        while deadline is not None:
            deadline, depth = deadline._outer, depth + 1
        depths.append(depth)
        following = await caller.acall(link, CallOptions(timeout=5.0), n)
        return await following if following is not None else None

    await step(20)
    assert max(depths) <= 1
    assert time.monotonic() > 0
