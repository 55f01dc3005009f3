"""A coroutine that runs at once."""

from __future__ import annotations

import asyncio

import pytest

from dashboard.api.browsers.eager_tasks import eager


async def test_a_coroutine_that_never_waits_gets_no_task() -> None:
    done = []

    async def work() -> None:
        done.append(1)

    assert eager(work()) is None
    assert done == [1]


async def test_a_coroutine_that_waits_continues_in_a_task() -> None:
    agent_api, done = asyncio.Event(), []

    async def work() -> None:
        for n in range(3):
            await agent_api.wait()
            await asyncio.sleep(0.001)
            done.append(n)

    task = eager(work())
    assert task is not None
    await asyncio.sleep(0.01)
    assert done == []
    agent_api.set()
    async with asyncio.timeout(5):
        await task
    assert done == [0, 1, 2]


async def test_an_early_exception_is_raised_to_the_caller() -> None:
    async def at_once() -> None:
        raise KeyError

    async def later() -> None:
        await asyncio.sleep(0)
        raise KeyError

    with pytest.raises(KeyError):
        eager(at_once())
    task = eager(later())
    assert task is not None
    with pytest.raises(KeyError):
        await task


async def test_a_waiting_coroutine_can_be_cancelled() -> None:
    tidied = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            tidied.append(True)

    task = eager(work())
    assert task is not None
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert tidied == [True]
