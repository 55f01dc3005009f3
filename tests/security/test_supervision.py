"""Silent death of a watcher: a task beside a connection ends the connection, with a log line."""

from __future__ import annotations

import asyncio
import logging

import pytest

from dashboard.common.supervision import cancel, keep_running, run_beside


class InterfaceError(Exception):
    """As a database driver raises it."""


async def forever() -> None:
    await asyncio.Event().wait()


async def fails() -> None:
    raise InterfaceError("connection already closed")


@pytest.mark.parametrize("error", [InterfaceError, asyncio.CancelledError, KeyError])
async def test_a_task_that_dies_of_anything_ends_the_connection(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    async def dies() -> None:
        raise error("of anything")

    async with asyncio.timeout(5):
        await run_beside(forever(), ("desired state", dies()), ("receipts", forever()))
    assert "the task desired state of a connection failed" in caplog.text
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_task_may_end_by_itself() -> None:
    ended = asyncio.Event()

    async def main() -> None:
        await asyncio.sleep(0.01)
        ended.set()

    async with asyncio.timeout(5):
        await run_beside(main(), ("short", asyncio.sleep(0)))
    assert ended.is_set()


async def test_an_error_of_the_connection_is_raised() -> None:
    with pytest.raises(InterfaceError):
        await run_beside(fails(), ("receipts", forever()))


async def test_a_background_task_starts_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    runs = 0
    third = asyncio.Event()

    async def part() -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            third.set()
            await forever()
        await fails()

    task = asyncio.create_task(keep_running("watch", part, again_s=0.0))
    async with asyncio.timeout(5):
        await third.wait()
    await cancel(task)
    assert caplog.text.count("the task watch failed") == 2
