"""Time limits for coroutines, with one timer of the event loop for all calls of the loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from math import inf
from typing import ParamSpec, TypeVar

from breakers.clock import SYSTEM_CLOCK
from breakers.deadline import Deadline, _current
from breakers.errors import CallTimeout

P = ParamSpec("P")
R = TypeVar("R")


class _LoopTimers:
    """The deadlines of one loop's coroutines behind a single timer of the loop.

    A timer a call costs more than the rest of the call. Most calls end long before their time, so
    one timer, set for the earliest deadline and moved on when it rings, rings about once in the
    shortest timeout's time, however many calls there are. A ring looks at every call under way.
    """

    __slots__ = ("_handle", "_rings_at", "loop", "running")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.running: set[CoroutineTimeout] = set()
        self._rings_at = inf
        self._handle: asyncio.TimerHandle | None = None

    def add(self, within: CoroutineTimeout) -> None:
        self.running.add(within)
        if within.deadline.at < self._rings_at:
            self._set(within.deadline.at)

    def _set(self, at: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._rings_at = at
        self._handle = self.loop.call_later(max(0.0, at - _now()), self._ring)

    def _ring(self) -> None:
        self._handle, self._rings_at = None, inf
        now = _now()
        # In the order of their deadlines, however late the loop comes to it.
        over = [each for each in self.running if each.deadline.at <= now]
        for within in sorted(over, key=_ends_at):
            self.running.discard(within)
            within.expired = True
            within.task.cancel()
        if self.running:
            self._set(min(each.deadline.at for each in self.running))


_now = SYSTEM_CLOCK.monotonic


def _ends_at(within: CoroutineTimeout) -> float:
    return within.deadline.at


class _Local(threading.local):
    timers: _LoopTimers | None = None


_local = _Local()


class CoroutineTimeout:
    """The time of a coroutine's attempt, from construction to `returned` or `failed`.

    The bookkeeping is that of `asyncio.timeout`, without its states: the task is cancelled when the
    time is up, and the cancellation is ours if, once taken back, no other is left.

    Raises:
        RuntimeError: there is no task to cancel, as `asyncio.timeout` raises too.
    """

    __slots__ = ("_cancelled_before", "_timers", "_token", "deadline", "expired", "task")

    def __init__(self, seconds: float) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a timeout needs a task to cancel")
        self.task = task
        self.expired = False
        self.deadline = Deadline.after(seconds)
        self._cancelled_before = task.cancelling()
        loop = task.get_loop()
        timers = _local.timers
        if timers is None or timers.loop is not loop:
            timers = _local.timers = _LoopTimers(loop)
        self._timers = timers
        timers.add(self)
        self._token = _current.set(self.deadline)

    def returned(self) -> None:
        """The callee has answered; `CallTimeout` if that was late."""
        self._timers.running.discard(self)
        _current.reset(self._token)
        if self.expired:
            # The callee swallowed the cancellation: its answer is late all the same.
            self.task.uncancel()
            raise CallTimeout(self.deadline.budget)

    def failed(self, error: BaseException) -> None:
        """The callee has raised; `CallTimeout` if that was our cancellation."""
        self._timers.running.discard(self)
        _current.reset(self._token)
        if self.expired:
            others = self.task.uncancel() > self._cancelled_before
            if isinstance(error, asyncio.CancelledError) and not others:
                raise CallTimeout(self.deadline.budget) from None


async def acall_within(
    seconds: float, func: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
) -> R:
    """`await func(*args, **kwargs)` within `seconds`; a cancellation from outside stays one.

    Raises:
        CallTimeout: the time was up.
        RuntimeError: there is no task to cancel.
    """
    within = CoroutineTimeout(seconds)
    try:
        result = await func(*args, **kwargs)
    except BaseException as error:
        within.failed(error)
        raise
    within.returned()
    return result
