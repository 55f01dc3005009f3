"""Time limits for coroutines, with one timer of the event loop for all calls of the loop.

Under trio a cancel scope takes the place of the timer.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
from collections.abc import Awaitable, Callable
from math import inf
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

from breakers.circuit import admission as compiled
from breakers.clock import SYSTEM_CLOCK
from breakers.common.async_library import is_asyncio, trio_if_running
from breakers.common.awaiting import awaitable
from breakers.deadline import Deadline, _current, current_deadline
from breakers.errors import CallTimeout

P = ParamSpec("P")
R = TypeVar("R")


class _LoopTimers:
    """The deadlines of one loop's coroutines behind a single timer of the loop.

    A timer for each call costs more than the rest of the call. Most calls end long before their
    deadline, so one timer, set for the earliest deadline and moved on when it fires, fires about
    once in the shortest timeout. Each time it looks at every call in flight.
    """

    __slots__ = ("_handle", "fires_at", "loop", "running")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.running: set[CoroutineTimeout] = set()
        self.fires_at = inf
        self._handle: asyncio.TimerHandle | None = None

    def runs_here(self) -> bool:
        """Whether the loop runs in this thread, as far as it says so.

        Until Python 3.12 asyncio._get_running_loop asks for the process id, which is a call of the
        kernel.
        """
        return getattr(self.loop, "_thread_id", None) == threading.get_ident()

    def fire_at(self, at: float) -> None:
        """Set the timer to a time."""
        if self._handle is not None:
            self._handle.cancel()
        self.fires_at = at
        self._handle = self.loop.call_later(max(0.0, at - _now()), self._fire)

    def _fire(self) -> None:
        self._handle, self.fires_at = None, inf
        now = _now()
        # In the order of their deadlines, however late the loop runs this.
        over = [each for each in self.running if each.at <= now]
        for within in sorted(over, key=_deadline_at):
            self.running.discard(within)
            within.expired = True
            if within.task is not None:
                within.task.cancel()
        if self.running:
            self.fire_at(min(each.at for each in self.running))


_now = SYSTEM_CLOCK.monotonic
_running_loop = asyncio._get_running_loop
# What asyncio.current_task does. Until Python 3.12 that is written in Python, and costs as much as
# a call through a breaker.
_task_of: Callable[[Any], asyncio.Task[Any] | None]
if sys.version_info < (3, 12):
    _task_of = asyncio.tasks._current_tasks.get  # type: ignore[attr-defined]
else:
    _task_of = asyncio.current_task


def _deadline_at(within: CoroutineTimeout) -> float:
    return within.at


class _Local(threading.local):
    timers: _LoopTimers | None = None


_local = _Local()


class CoroutineTimeout(Deadline):
    """The timeout of one attempt under asyncio, from construction to `returned` or `failed`, and
    the deadline that the callee reads.

    The bookkeeping is that of `asyncio.timeout`, without its states: the task is cancelled when the
    time is up. The cancellation was this timeout's if no other remains once it is taken back.

    Raises:
        RuntimeError: there is no task to cancel, as for `asyncio.timeout`.
    """

    __slots__ = ("_cancelled_before", "_running", "_token", "expired", "task")
    # Each is one of its kind, whatever the time: a loop keeps them in a set.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __init__(self, seconds: float) -> None:
        timers = _local.timers
        loop = _running_loop() if timers is None or not timers.runs_here() else timers.loop
        if loop is None:
            raise RuntimeError("a timeout needs a running event loop")
        task = _task_of(loop)
        if task is None:
            raise RuntimeError("a timeout needs a task to cancel")
        self.at = at = _now() + seconds
        self.budget = seconds
        self.is_over = self.expired = False
        self._outer = outer = _current.get()
        if outer is not None:
            self._nest()
            at = self.at
        self.task: asyncio.Task[Any] | None = task
        self._cancelled_before = task.cancelling()
        if timers is None or timers.loop is not loop:
            timers = _local.timers = _LoopTimers(task.get_loop())
        self._running = running = timers.running
        running.add(self)
        if at < timers.fires_at:
            timers.fire_at(at)
        self._token = _current.set(self)

    def _nest(self) -> None:
        """Take over the enclosing deadline if it is earlier."""
        self._outer = outer = current_deadline()
        if outer is not None and outer.at < self.at:
            self.at, self.budget = outer.at, outer.budget

    @property
    def deadline(self) -> Deadline:
        """The deadline that the callee reads."""
        return self

    def returned(self) -> None:
        """The callee has returned; `CallTimeout` if it was late."""
        task = self._leave()
        if self.expired:
            # The callee swallowed the cancellation. Its result is late all the same.
            task.uncancel()
            raise CallTimeout(self.budget)

    def failed(self, error: BaseException) -> None:
        """The callee has raised; `CallTimeout` if that was this timeout's cancellation."""
        task = self._leave()
        if self.expired:
            others = task.uncancel() > self._cancelled_before
            if isinstance(error, asyncio.CancelledError) and not others:
                raise CallTimeout(self.budget) from None

    def _leave(self) -> asyncio.Task[Any]:
        self._running.discard(self)
        self.is_over = True
        try:  # noqa: SIM105 - suppress costs more than the rest of a call
            _current.reset(self._token)
        except ValueError:
            # It is left in another context than it was entered in.
            pass
        # The task may keep the error whose traceback refers to this object, and tasks that the
        # callee started keep this object.
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
    timers = _local.timers
    if timers is not None and timers.runs_here():
        return CoroutineTimeout(seconds)
    if not is_asyncio() and (trio := trio_if_running()) is not None:
        return TrioTimeout(trio, seconds)
    return CoroutineTimeout(seconds)


class TaskLimit:
    """The timeout of the attempts of calls: `begin` one, and say when its callee has `returned`."""

    __slots__ = ("begin", "returned")
    begin: Callable[[], CoroutineTimeout | TrioTimeout]
    returned: Callable[[Any], None]

    def __init__(self, seconds: float) -> None:
        self.begin, self.returned = functools.partial(attempt_timeout, seconds), _returned
        if compiled.TaskLimit is not None:
            limit = compiled.TaskLimit(
                seconds, CoroutineTimeout, _current, attempt_timeout, _task_of, _local
            )
            self.begin, self.returned = limit.begin, limit.returned


def _returned(timeout: CoroutineTimeout | TrioTimeout) -> None:
    timeout.returned()


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
