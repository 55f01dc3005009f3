"""The parts of an async library that calls need, for asyncio and for trio (also under anyio).

trio is never imported: a coroutine that runs under trio finds it among the loaded modules.
"""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType

_no_loop = asyncio._get_running_loop


def is_asyncio() -> bool:
    """Whether an asyncio event loop runs in this thread."""
    return _no_loop() is not None


def trio_if_running() -> ModuleType | None:
    """trio, if the running coroutine is of trio's."""
    trio = sys.modules.get("trio")
    if trio is None or _no_loop() is not None:
        return None
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return None
    return trio


async def sleep(seconds: float) -> None:
    """Sleep, under asyncio or trio."""
    trio = trio_if_running()
    await (asyncio.sleep(seconds) if trio is None else trio.sleep(seconds))


def need_asyncio(what: str) -> None:
    """Refuse a feature that only works under asyncio.

    Raises:
        RuntimeError: no asyncio event loop runs here.
    """
    if not is_asyncio():
        raise RuntimeError(f"{what} needs a running asyncio event loop")
