"""Runs a coroutine immediately, and creates a task only if it has to wait.

A frame is sent to hundreds of browsers, most of which can accept it without waiting; a task for
each would cost more than the send. (Python 3.12 has this as eager tasks.)
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any


def eager(work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    """Run `work` until it first waits; the task that goes on with it, or None if it is done.

    What it raises before that is raised here. Until then it has no task of its own: it must not
    ask for the current one, as timeouts do.
    """
    try:
        awaited = work.send(None)
    except StopIteration:
        return None
    return asyncio.create_task(_go_on(work, awaited))


async def _go_on(work: Coroutine[Any, Any, None], awaited: Any) -> None:
    await _rest(work, awaited)


@types.coroutine
def _rest(work: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    while True:
        raised: BaseException | None = None
        try:
            sent = yield awaited
        except BaseException as error:
            raised = error
        try:
            awaited = work.send(sent) if raised is None else work.throw(raised)
        except StopIteration:
            return
