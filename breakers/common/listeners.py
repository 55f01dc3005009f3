"""Calls listeners and hooks. Their errors are logged and do not reach the caller."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
logger = logging.getLogger("breakers")


def notify(listener: Callable[[T], object], record: T) -> None:
    """Call a listener."""
    try:
        listener(record)
    except Exception:
        logger.exception("a listener failed")


async def anotify(listener: Callable[[T], object], record: T) -> None:
    """`notify` for listeners that may be coroutine functions."""
    try:
        returned = listener(record)
        if inspect.isawaitable(returned):
            await returned
    except Exception:
        logger.exception("a listener failed")
