"""Which thread, task and kind of function the present code runs in."""

from __future__ import annotations

import asyncio
import inspect
import sys
from threading import get_ident
from typing import Final

_GENERATORS: Final = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
Where = tuple[int, object]


def where() -> Where:
    """The thread, and the asyncio task if there is one."""
    loop = asyncio._get_running_loop()
    return get_ident(), None if loop is None else asyncio.current_task(loop)


def is_in_generator(depth: int) -> bool:
    """Whether the frame that many calls further out is a generator's."""
    try:
        return bool(sys._getframe(depth + 1).f_code.co_flags & _GENERATORS)
    except ValueError:
        return False
