"""Supervised tasks: a task beside a connection ends the connection when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Final

logger = logging.getLogger("switchgear")
_AGAIN_S: Final = 1.0


async def run_beside(main: Coroutine[Any, Any, None], *beside: tuple[str, Any]) -> None:
    """Run `main` and the named coroutines beside it until `main` ends, or one of them fails.

    Whichever ends first with an error is logged, and all others are cancelled: a connection never
    outlives a task that serves it. A task beside it may end by itself without an error.

    Raises:
        Exception: what `main` raised.
    """
    tasks = {asyncio.create_task(coroutine, name=name): name for name, coroutine in beside}
    first = asyncio.create_task(main, name="connection")
    try:
        running = {first, *tasks}
        while first in running and not first.done():
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            failed = [each for each in done if each is not first and _failed(each)]
            if failed:
                for each in failed:
                    logger.error(
                        "the task %s of a connection failed; the connection ends",
                        tasks[each],
                        exc_info=each.exception() if not each.cancelled() else None,
                    )
                return
    finally:
        await cancel(first, *tasks)
    await first


def _failed(task: asyncio.Task[None]) -> bool:
    return task.cancelled() or task.exception() is not None


async def cancel(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks and wait for their end."""
    for each in tasks:
        each.cancel()
    for each in tasks:
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await each


async def keep_running(
    name: str, part: Callable[[], Awaitable[None]], again_s: float = _AGAIN_S
) -> None:
    """Run a background task of the process for ever: whenever it fails or ends, log it and start it
    again after `again_s` seconds."""
    while True:
        try:
            await part()
            logger.error("the task %s ended; it starts again", name)
        except Exception:
            logger.exception("the task %s failed; it starts again", name)
        await asyncio.sleep(again_s)


@contextlib.asynccontextmanager
async def background(name: str, part: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Keep a background task running within the block."""
    task = asyncio.create_task(keep_running(name, part), name=name)
    try:
        yield
    finally:
        await cancel(task)
