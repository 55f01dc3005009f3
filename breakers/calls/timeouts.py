"""A bound on the time of a call, sync and async.

In the main thread of a Unix process a sync call is really interrupted, by an interval timer.
Elsewhere `with timeout(…)` cannot interrupt: it sets the deadline for the callee to read, and
raises when the block ends late. `call_within` frees its caller always: it interrupts where that is
possible and isolates the call in a thread elsewhere. docs/decisions/0003 weighs the strategies.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from contextvars import Token
from math import inf
from types import FrameType, TracebackType
from typing import Any, Final, Literal, ParamSpec, TypeVar

from breakers.calls.isolation import isolation
from breakers.clock import SYSTEM_CLOCK
from breakers.common import validation
from breakers.deadline import Deadline, _current
from breakers.errors import CallTimeout

P = ParamSpec("P")
R = TypeVar("R")
Strategy = Literal["auto", "thread", "cooperative"]
STRATEGIES: Final = ("auto", "thread", "cooperative")

# Rooms that keep books, which an error out of nowhere would leave half done. None of them calls a
# callee itself: one that is written in C runs in its caller's frame, and must be interrupted there.
_HERE: Final = os.path.dirname(os.path.dirname(__file__))
_UNDISTURBED: Final = frozenset(
    os.path.join(
        _HERE,
        *module.split("."),
    )
    + ".py"
    for module in (
        "circuit.breaker",
        "circuit.histogram",
        "circuit.overrides",
        "circuit.state_machine",
        "circuit.windows",
        "common.locking",
        "limits.slots",
    )
)
_AGAIN_S: Final = 0.001
_main = threading.main_thread()
_can_interrupt: Final = hasattr(signal, "setitimer")


class timeout:  # noqa: N801 - the article's name, used like a function
    """Bound a block: `CallTimeout` once `seconds` have passed. Nests; the earliest deadline wins.

    A block that ends late raises too, whatever it swallowed. An alarm that somebody else has set
    rings on time and is handed back with what is left of it.

    In a coroutine only what runs without awaiting is interrupted: a block that awaits is late when
    it ends, and other tasks are left alone. `asyncio.timeout` and `acall` interrupt what awaits.

    Raises:
        PolicyError: `seconds` is not above 0, or is more than a year.
        RuntimeError: on entering what is entered already; one after the other is fine.

    >>> with timeout(1.0):
    ...     pass
    """

    __slots__ = (
        "_armed",
        "_armed_at",
        "_deadline",
        "_handler",
        "_is_entered",
        "_outer",
        "_rang",
        "_task",
        "_token",
        "seconds",
    )
    _token: Token[Deadline | None]

    def __init__(self, seconds: float) -> None:
        self.seconds = validation.seconds("seconds", seconds)
        self._is_entered = False

    def __enter__(self) -> Deadline:
        if self._is_entered:
            raise RuntimeError("this timeout is entered already; nested blocks need one each")
        self._is_entered = True
        self._deadline = deadline = Deadline.after(self.seconds)
        self._rang = False
        self._armed = can_interrupt()
        self._task = _running_task()
        self._token = _current.set(deadline)
        if self._armed:
            self._handler = signal.signal(signal.SIGALRM, self._ring)
            self._outer = signal.setitimer(signal.ITIMER_REAL, 0)
            self._armed_at = SYSTEM_CLOCK.monotonic()
            self._arm()
        if self._rang:
            # It rang on the way in, when there was no block to interrupt yet.
            self._disarm()
            raise CallTimeout(deadline.budget)
        return deadline

    def _arm(self) -> None:
        """Ring at the deadline, or before that for an alarm that was there first."""
        ours = max(self._deadline.at - SYSTEM_CLOCK.monotonic(), 1e-6)
        theirs = self._theirs()
        signal.setitimer(signal.ITIMER_REAL, ours if theirs is None else min(ours, theirs))

    def _theirs(self) -> float | None:
        """When the alarm that was there first is due, in seconds; None where there is none."""
        if not self._outer[0]:
            return None
        return max(self._outer[0] - (SYSTEM_CLOCK.monotonic() - self._armed_at), 1e-6)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if self._deadline.remaining() > 0:
            handler, delay, interval = self._handler, *self._outer
            self._outer = (delay + interval, interval) if interval else (0.0, 0.0)
            self._arm()
            if callable(handler):
                handler(number, frame)
            return
        self._rang = True
        if _is_counting(frame):
            # In the middle of counting: what it would leave half done is never put right.
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
            return
        # In a task that awaits, whatever runs now is somebody else's: another task, or the loop.
        is_here = self._task is None or _running_task() is self._task
        if is_here and (frame is None or frame.f_code not in _OWN):
            raise CallTimeout(self._deadline.budget)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._disarm()
        late = self._rang or self._deadline.remaining() <= 0
        if late and error is None:
            raise CallTimeout(self._deadline.budget)

    def _disarm(self) -> None:
        """Hand the timer back to whoever held it."""
        self._is_entered = False
        if self._armed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._handler)
            theirs = self._theirs()
            if theirs is not None:
                signal.setitimer(signal.ITIMER_REAL, theirs, self._outer[1])
        _current.reset(self._token)


def _is_counting(frame: FrameType | None) -> bool:
    """Whether one of those rooms is at work, or another of the library's on its behalf."""
    while frame is not None and (file := frame.f_code.co_filename).startswith(_HERE):
        if file in _UNDISTURBED:
            return True
        frame = frame.f_back
    return False


def _running_task() -> asyncio.Task[Any] | None:
    """The task that this thread runs now, if it runs a loop at all."""
    loop = asyncio._get_running_loop()
    return None if loop is None else asyncio.current_task(loop)


# While these run, a ring is only noted: raised there, it would leave the timer behind.
_OWN: Final = frozenset(
    method.__code__
    for method in (
        timeout.__enter__,
        timeout.__exit__,
        timeout._disarm,
        timeout._arm,
        timeout._theirs,
    )
)


def can_interrupt() -> bool:
    """Whether a sync call in this thread can be interrupted."""
    return _can_interrupt and threading.current_thread() is _main


def call_within(
    seconds: float,
    strategy: Strategy,
    func: Callable[P, R],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """`func(*args, **kwargs)` within `seconds`.

    `auto` interrupts in the main thread and isolates elsewhere; `thread` always isolates;
    `cooperative` leaves it to the callee to read `remaining()`, and raises when it comes late.

    Raises:
        CallTimeout: the time was up.
        IsolationExhausted: no isolation thread was free.
    """
    if strategy == "auto" and can_interrupt():
        with timeout(seconds):
            return func(*args, **kwargs)
    deadline = Deadline.after(seconds)
    token = _current.set(deadline)
    try:
        if strategy == "cooperative":
            answer = func(*args, **kwargs)
            if deadline.remaining() <= 0:
                raise CallTimeout(deadline.budget)
            return answer
        result: Any = isolation.run(lambda: func(*args, **kwargs), deadline)
    finally:
        _current.reset(token)
    return result  # type: ignore[no-any-return]


class _Timers:
    """The deadlines of one loop's coroutines behind a single timer of the loop.

    A timer a call costs more than the rest of the call. Most calls end long before their time, so
    one timer, set for the earliest deadline and moved on when it rings, rings about once in the
    shortest timeout's time, however many calls there are. A ring looks at every call under way.
    """

    __slots__ = ("_handle", "_rings_at", "loop", "running")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.running: set[Within] = set()
        self._rings_at = inf
        self._handle: asyncio.TimerHandle | None = None

    def add(self, within: Within) -> None:
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


def _ends_at(within: Within) -> float:
    return within.deadline.at


class _Local(threading.local):
    timers: _Timers | None = None


_local = _Local()


class Within:
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
            timers = _local.timers = _Timers(loop)
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
    within = Within(seconds)
    try:
        result = await func(*args, **kwargs)
    except BaseException as error:
        within.failed(error)
        raise
    within.returned()
    return result
