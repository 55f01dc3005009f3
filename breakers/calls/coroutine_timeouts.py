"""Time limits for coroutines, with one timer of the event loop for all calls of the loop.

Under trio a cancel scope takes the place of the timer.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from math import inf
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

from breakers.clock import SYSTEM_CLOCK
from breakers.common.async_library import is_asyncio, trio_if_running
from breakers.common.awaiting import awaitable
from breakers.deadline import Deadline, _current
from breakers.errors import CallTimeout

P = ParamSpec("P")
R = TypeVar("R")


class _LoopTimers:
    """The deadlines of one loop's coroutines behind a single timer of the loop.

    A timer for each call costs more than the rest of the call. Most calls end long before their
    deadline, so one timer, set for the earliest deadline and moved on when it fires, fires about
    once in the shortest timeout. Each time it looks at every call in flight.
    """

    __slots__ = ("_fires_at", "_handle", "loop", "running")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.running: set[CoroutineTimeout] = set()
        self._fires_at = inf
        self._handle: asyncio.TimerHandle | None = None

    def add(self, within: CoroutineTimeout) -> None:
        self.running.add(within)
        if within.deadline.at < self._fires_at:
            self._set(within.deadline.at)

    def _set(self, at: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._fires_at = at
        self._handle = self.loop.call_later(max(0.0, at - _now()), self._fire)

    def _fire(self) -> None:
        self._handle, self._fires_at = None, inf
        now = _now()
        # In the order of their deadlines, however late the loop runs this.
        over = [each for each in self.running if each.deadline.at <= now]
        for within in sorted(over, key=_deadline_at):
            self.running.discard(within)
            within.expired = True
            if within.task is not None:
                within.task.cancel()
        if self.running:
            self._set(min(each.deadline.at for each in self.running))


_now = SYSTEM_CLOCK.monotonic


def _deadline_at(within: CoroutineTimeout) -> float:
    return within.deadline.at


class _Local(threading.local):
    timers: _LoopTimers | None = None


_local = _Local()


class CoroutineTimeout:
    """The timeout of one attempt under asyncio, from construction to `returned` or `failed`.

    The bookkeeping is that of `asyncio.timeout`, without its states: the task is cancelled when the
    time is up. The cancellation was this timeout's if no other remains once it is taken back.

    Raises:
        RuntimeError: there is no task to cancel, as for `asyncio.timeout`.
    """

    __slots__ = ("_cancelled_before", "_timers", "_token", "deadline", "expired", "task")

    def __init__(self, seconds: float) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a timeout needs a task to cancel")
        self.task: asyncio.Task[Any] | None = task
        self.expired = False
        outer = _current.get()
        self.deadline = (
            Deadline(_now() + seconds, seconds) if outer is None else Deadline.after(seconds)
        )
        self._cancelled_before = task.cancelling()
        loop = task.get_loop()
        timers = _local.timers
        if timers is None or timers.loop is not loop:
            timers = _local.timers = _LoopTimers(loop)
        self._timers = timers
        timers.add(self)
        self._token = _current.set(self.deadline)

    def returned(self) -> None:
        """The callee has returned; `CallTimeout` if it was late."""
        task = self._leave()
        if self.expired:
            # The callee swallowed the cancellation. Its result is late all the same.
            task.uncancel()
            raise CallTimeout(self.deadline.budget)

    def failed(self, error: BaseException) -> None:
        """The callee has raised; `CallTimeout` if that was this timeout's cancellation."""
        task = self._leave()
        if self.expired:
            others = task.uncancel() > self._cancelled_before
            if isinstance(error, asyncio.CancelledError) and not others:
                raise CallTimeout(self.deadline.budget) from None

    def _leave(self) -> asyncio.Task[Any]:
        self._timers.running.discard(self)
        self.deadline.end(self._token)
        # The task may keep the error whose traceback refers to this object.
        task, self.task = self.task, None
        assert task is not None
        return task


class TrioTimeout:
    """The timeout of one attempt under trio: a cancel scope."""

    __slots__ = ("_scope", "_token", "deadline")

    def __init__(self, trio: ModuleType, seconds: float) -> None:
        self.deadline = Deadline.after(seconds)
        self._scope: Any = trio.move_on_after(self.deadline.remaining())
        self._scope.__enter__()
        self._token = _current.set(self.deadline)

    def returned(self) -> None:
        """The callee has returned; `CallTimeout` if it was late."""
        self.deadline.end(self._token)
        self._scope.__exit__(None, None, None)
        if self._scope.cancel_called:
            raise CallTimeout(self.deadline.budget)

    def failed(self, error: BaseException) -> None:
        """The callee has raised; `CallTimeout` if that was this scope's cancellation."""
        self.deadline.end(self._token)
        if self._scope.__exit__(type(error), error, error.__traceback__):
            raise CallTimeout(self.deadline.budget) from None


def attempt_timeout(seconds: float) -> CoroutineTimeout | TrioTimeout:
    """Begin the timeout of an attempt, under asyncio or trio.

    Raises:
        RuntimeError: neither runs here, or there is no task to cancel.
    """
    if not is_asyncio() and (trio := trio_if_running()) is not None:
        return TrioTimeout(trio, seconds)
    return CoroutineTimeout(seconds)


async def acall_within(
    seconds: float, func: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
) -> R:
    """`await func(*args, **kwargs)` within `seconds`. A cancellation from outside stays one.

    Raises:
        CallTimeout: the time was up.
        RuntimeError: there is no task to cancel.
    """
    within = attempt_timeout(seconds)
    try:
        result = await awaitable(func(*args, **kwargs), func)
    except BaseException as error:
        within.failed(error)
        raise
    within.returned()
    return result
