"""Hedged calls: repeat a call whose answer is late, and take the first answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from breakers.common.awaiting import awaitable
from breakers.common.rules import is_rule_error
from breakers.common.validation import number, whole

P = ParamSpec("P")
R = TypeVar("R")


async def hedged(
    delay: float,
    attempts: int,
    func: Callable[P, Awaitable[R]],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """`await func(…)`, started once more after each `delay` seconds without an answer.

    At most `attempts` run at once. The first answer is returned; the others are cancelled and
    awaited. A failed one is followed by the next at once. If all fail, the first error is raised.
    Use it only for calls that are safe to repeat. With the 95th percentile of the latency as
    `delay` it adds at most 5 % load ("hedged requests", Dean and Barroso, The Tail at Scale, CACM
    2013). It needs asyncio.

    Raises:
        PolicyError: `delay` is below 0 or `attempts` below 1.

    >>> async def answer() -> int:
    ...     return 42
    >>> asyncio.run(hedged(0.05, 2, answer))
    42
    """
    number("delay", delay, unit="s")
    whole("attempts", attempts)
    running: set[asyncio.Task[R]] = set()
    done: set[asyncio.Task[R]] = set()
    first_error: BaseException | None = None
    task: asyncio.Task[R] | None = None
    error: BaseException | None = None
    try:
        for left in range(attempts - 1, -1, -1):
            running.add(asyncio.ensure_future(_awaited(func, *args, **kwargs)))
            while running:
                done, running = await asyncio.wait(
                    running,
                    timeout=delay if left else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in done:
                    error = _error_of(task)
                    if error is None:
                        return task.result()
                    first_error = first_error or error
                    if is_rule_error(error):
                        # A plain function: it is not run again.
                        raise error
                if left:
                    break
        assert first_error is not None
        raise first_error
    finally:
        try:
            await _cancel(running)
        finally:
            # This frame is part of the error's traceback: it must not refer to the error.
            first_error = error = task = None
            del done, running


def _error_of(task: asyncio.Task[R]) -> BaseException | None:
    return asyncio.CancelledError() if task.cancelled() else task.exception()


async def _awaited(func: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
    return await awaitable(func(*args, **kwargs), func)


async def _cancel(running: set[asyncio.Task[R]]) -> None:
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)
    for task in running:
        # Retrieved, so that the loop does not log an exception that was never retrieved.
        _ = task.cancelled() or task.exception()
