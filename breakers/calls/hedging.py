"""Asks again where an answer is late, and takes whichever comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

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
    """`await func(…)`, asked once more after each `delay` seconds without an answer.

    At most `attempts` run side by side; the first answer is returned and the others are cancelled
    and awaited. One that fails is followed by the next at once; where all have failed, the first
    error is raised. Only for calls that may safely be made twice. Give it the 95th percentile as
    `delay` and it adds at most a twentieth of load ("hedged requests", Dean and Barroso, The Tail
    at Scale, CACM 2013).

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
    first_error: BaseException | None = None
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
                    if task.cancelled() or task.exception() is not None:
                        error = asyncio.CancelledError() if task.cancelled() else task.exception()
                        first_error = first_error or error
                    else:
                        return task.result()
                if left:
                    break
    finally:
        await _called_off(running)
    assert first_error is not None
    raise first_error


async def _awaited(func: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
    return await func(*args, **kwargs)


async def _called_off(running: set[asyncio.Task[R]]) -> None:
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)
    for task in running:
        # Asked, so that the loop does not complain of errors nobody looked at.
        _ = task.cancelled() or task.exception()
