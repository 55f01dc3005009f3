"""Alarms that interrupt sync code: `SIGALRM` in the main thread, a hub's timer for greenlets."""

from __future__ import annotations

import asyncio
import signal
import threading
from math import inf
from types import CodeType, FrameType
from typing import Any, Final

from breakers.calls.greenlets import Timer, current_greenlet, hub_timer
from breakers.clock import SYSTEM_CLOCK
from breakers.common.exception_groups import find
from breakers.common.uninterruptible import is_uninterruptible
from breakers.deadline import Deadline
from breakers.errors import CallInterrupted, CallTimeout

# Until the next try when the first one would have left state half-updated.
_RETRY_S: Final = 0.001
# Until a callee that swallowed an interruption is interrupted again; doubles up to the second.
_GRACE_S: Final = 0.1
_GRACE_MAX_S: Final = 1.0
# How far an error's chain of causes is searched for an interruption.
_CHAIN_MAX: Final = 20
_now = SYSTEM_CLOCK.monotonic
_main = threading.main_thread()
_has_timers: Final = hasattr(signal, "setitimer")
# Code on the way into and out of a timeout. While it runs, a ring is noted and comes again.
own_code: Final[set[CodeType]] = set()


def may_use_signals() -> bool:
    return _has_timers and threading.current_thread() is _main


class SignalAlarm:
    """Interrupts a block in the main thread by `SIGALRM`."""

    __slots__ = (
        "_deadline",
        "_grace",
        "_greenlet",
        "_handler",
        "_interval",
        "_is_deaf",
        "_next",
        "_others_next",
        "_raised",
        "_task",
        "rang",
    )

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._next = deadline.at
        self._grace = _GRACE_S
        self._task, self._greenlet = _running_task(), current_greenlet()
        self._others_next, self._interval = inf, 0.0
        self._is_deaf = self._raised = False
        self.rang = False
        """Whether the time was up during the block."""

    def arm(self) -> None:
        self._handler = signal.signal(signal.SIGALRM, self._ring)
        delay, self._interval = signal.setitimer(signal.ITIMER_REAL, 0)
        self._others_next = _now() + delay if delay else inf
        self._set()

    def disarm(self) -> None:
        """Restore the handler and the timer that were set before."""
        # A ring that is on its way must not set the timer again.
        self._is_deaf = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._handler)
        if self._others_next < inf:
            delay = max(self._others_next - _now(), 1e-6)
            signal.setitimer(signal.ITIMER_REAL, delay, self._interval)

    def caused(self, error: BaseException) -> bool:
        """Whether an error is this alarm's interruption, or was raised in its place."""
        if not self._raised:
            return False
        if not isinstance(error, Exception):
            return _is_by(self, error)
        return not isinstance(error, CallTimeout) and any(_is_by(self, e) for e in _chain(error))

    def _set(self) -> None:
        delay = max(min(self._next, self._others_next) - _now(), 1e-6)
        signal.setitimer(signal.ITIMER_REAL, delay)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if self._is_deaf:
            return
        now = _now()
        if now < self._next:
            self._others_next = self._others_next + self._interval if self._interval else inf
            if callable(self._handler):
                # It is not interrupted itself.
                self._is_deaf = True
                try:
                    self._handler(number, frame)
                finally:
                    self._is_deaf = False
            self._set()
            return
        self.rang = True
        # On the way into the block it looks at `rang` itself, but this ring may come after that.
        is_own = frame is not None and frame.f_code in own_code
        if is_own or is_uninterruptible(frame):
            self._next = now + _RETRY_S
            self._set()
            return
        self._next = now + self._grace
        self._grace = min(2.0 * self._grace, _GRACE_MAX_S)
        self._set()
        # While a task awaits or a greenlet waits, other code runs, which must not be interrupted.
        if _running_task() is self._task and current_greenlet() is self._greenlet:
            self._raised = True
            raise CallInterrupted(self, self._deadline.budget)


class HubAlarm:
    """Interrupts a greenlet by a timer of its hub."""

    __slots__ = ("_deadline", "_grace", "_greenlet", "_timer", "rang")

    def __init__(self, deadline: Deadline, timer: Timer) -> None:
        self._deadline, self._timer = deadline, timer
        self._greenlet = current_greenlet()
        self._grace = _GRACE_S
        self.rang = False

    def arm(self) -> None:
        self._timer.start(self._deadline.remaining(), self._throw)

    def disarm(self) -> None:
        self._timer.stop()

    def caused(self, error: BaseException) -> bool:
        return self.rang and any(_is_by(self, each) for each in _chain(error))

    def _throw(self) -> None:
        self.rang = True
        self._timer.start(self._grace, self._throw)
        self._grace = min(2.0 * self._grace, _GRACE_MAX_S)
        self._greenlet.throw(CallInterrupted(self, self._deadline.budget))


def alarm_for(deadline: Deadline) -> SignalAlarm | HubAlarm | None:
    timer = hub_timer()
    if timer is not None:
        return HubAlarm(deadline, timer)
    return SignalAlarm(deadline) if may_use_signals() else None


def _chain(error: BaseException) -> list[BaseException]:
    """An error, what it was raised from, and so on."""
    chain: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and len(chain) < _CHAIN_MAX:
        chain.append(each)
        each = each.__cause__ or each.__context__
    return chain


def _is_by(alarm: object, error: BaseException) -> bool:
    interrupted = find(error, CallInterrupted)
    return interrupted is not None and interrupted.alarm is alarm


def _running_task() -> asyncio.Task[Any] | None:
    """The running task, if this thread runs an event loop."""
    loop = asyncio._get_running_loop()
    return None if loop is None else asyncio.current_task(loop)


own_code.update(
    method.__code__
    for method in (
        SignalAlarm.arm,
        SignalAlarm.disarm,
        SignalAlarm.caused,
        SignalAlarm._set,
        alarm_for,
        _is_by,
        _chain,
        find,
    )
)
