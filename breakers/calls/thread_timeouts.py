"""Time limits for sync code: an interval timer in the main thread, a worker thread elsewhere.

In the main thread of a Unix process, `timeout` and `call_within` interrupt the call by `SIGALRM`.
Under gevent or eventlet a timer of the hub interrupts the greenlet. Elsewhere `with timeout(…)`
cannot interrupt: it sets the deadline, which the callee can read, and raises when the block ends
late. `call_within` always returns to its caller in time: where it cannot interrupt, it runs the
call in a worker thread. docs/decisions/0003 compares the strategies.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from contextvars import Token
from math import inf
from types import FrameType, TracebackType
from typing import Any, Final, Literal, ParamSpec, TypeVar

from breakers.calls.coroutine_timeouts import CoroutineTimeout, TrioTimeout, attempt_timeout
from breakers.calls.greenlets import Timer, current_greenlet, hub_timer
from breakers.calls.isolation import isolation
from breakers.clock import SYSTEM_CLOCK
from breakers.common import validation
from breakers.common.exception_groups import find
from breakers.common.uninterruptible import is_uninterruptible
from breakers.deadline import Deadline, _current
from breakers.errors import CallInterrupted, CallTimeout

P = ParamSpec("P")
R = TypeVar("R")
Strategy = Literal["auto", "thread", "cooperative"]
STRATEGIES: Final = ("auto", "thread", "cooperative")

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


class timeout:  # noqa: N801 - the article's name, used like a function
    """Bound a block: `CallTimeout` once `seconds` have passed. Blocks nest; the earliest deadline
    wins.

    In the main thread, the block is interrupted by a `CallInterrupted`, which is no `Exception`, so
    that `except Exception` does not swallow it. A block that swallows it is interrupted again. A
    block that ends late raises `CallTimeout` whatever it swallowed. An alarm that was set before
    the block still fires on time.

    As `async with timeout(…)` it cancels what the block awaits, under asyncio and trio. `with
    timeout(…)` in a coroutine only interrupts code that does not await.

    Raises:
        PolicyError: `seconds` is not above 0, or is more than a year.
        RuntimeError: the object is entered already. Using it again afterwards is fine.

    >>> with timeout(1.0):
    ...     pass
    """

    __slots__ = (
        "_alarm",
        "_coroutine",
        "_deadline",
        "_is_entered",
        "_rang",
        "_token",
        "seconds",
    )
    _token: Token[Deadline | None]

    def __init__(self, seconds: float) -> None:
        self.seconds = validation.seconds("seconds", seconds)
        self._is_entered = False
        self._coroutine: CoroutineTimeout | TrioTimeout | None = None

    def __enter__(self) -> Deadline:
        self._begin()
        self._deadline = deadline = Deadline.after(self.seconds)
        self._token = _current.set(deadline)
        self._alarm = _alarm_for(deadline)
        if self._alarm is not None:
            self._alarm.arm()
            if self._alarm.rang:
                # It rang before there was a block to interrupt.
                self._end()
                raise CallTimeout(deadline.budget)
        return deadline

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()
        alarm, self._alarm = self._alarm, None
        if error is None:
            if (alarm is not None and alarm.rang) or self._deadline.remaining() <= 0:
                raise CallTimeout(self._deadline.budget)
        elif alarm is not None and alarm.caused(error):
            raise CallTimeout(self._deadline.budget) from error

    async def __aenter__(self) -> Deadline:
        self._begin()
        try:
            self._coroutine = attempt_timeout(self.seconds)
        except BaseException:
            self._is_entered = False
            raise
        return self._coroutine.deadline

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        coroutine, self._coroutine = self._coroutine, None
        self._is_entered = False
        assert coroutine is not None
        if error is None:
            coroutine.returned()
        else:
            coroutine.failed(error)

    def _begin(self) -> None:
        if self._is_entered:
            raise RuntimeError("this timeout is entered already; nested blocks need one each")
        self._is_entered = True

    def _end(self) -> None:
        self._is_entered = False
        if self._alarm is not None:
            self._alarm.disarm()
        self._deadline.end(self._token)


class _SignalAlarm:
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
        if frame is not None and frame.f_code in _OWN:
            # On the way in or out of the block, which looks at `rang` itself.
            return
        if is_uninterruptible(frame):
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


class _HubAlarm:
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


def _alarm_for(deadline: Deadline) -> _SignalAlarm | _HubAlarm | None:
    timer = hub_timer()
    if timer is not None:
        return _HubAlarm(deadline, timer)
    return _SignalAlarm(deadline) if _may_use_signals() else None


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


# While these run, a ring is only noted. An exception would leave the timer set.
_OWN: Final = frozenset(
    method.__code__
    for method in (
        timeout.__enter__,
        timeout.__exit__,
        timeout._end,
        Deadline.end,
        _SignalAlarm.arm,
        _SignalAlarm.disarm,
        _SignalAlarm.caused,
        _SignalAlarm._set,
        _alarm_for,
        _is_by,
        _chain,
        find,
    )
)


def _may_use_signals() -> bool:
    return _has_timers and threading.current_thread() is _main


def can_interrupt() -> bool:
    """Whether a sync call can be interrupted here: by a signal, or by a hub of greenlets."""
    return _may_use_signals() or hub_timer() is not None


def call_within(
    seconds: float,
    strategy: Strategy,
    func: Callable[P, R],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """`func(*args, **kwargs)` within `seconds`.

    `auto` interrupts the call where it can, and runs it in a worker thread elsewhere; `thread`
    always uses a worker thread; `cooperative` never interrupts, and raises when the call is late.

    Raises:
        CallTimeout: the time was up.
        IsolationExhausted: no isolation thread was free.
    """
    if strategy == "auto" and can_interrupt():
        with timeout(seconds):
            return func(*args, **kwargs)
    outer = _current.get()
    deadline = Deadline(_now() + seconds, seconds) if outer is None else Deadline.after(seconds)
    if strategy != "cooperative":
        return _isolated(deadline, func, args, kwargs)
    token = _current.set(deadline)
    try:
        result = func(*args, **kwargs)
        if _now() >= deadline.at:
            raise CallTimeout(deadline.budget)
        return result
    finally:
        deadline.is_over = True
        _current.reset(token)


def _isolated(deadline: Deadline, func: Callable[..., R], args: Any, kwargs: Any) -> R:
    token = _current.set(deadline)
    try:
        return isolation.run(lambda: func(*args, **kwargs), deadline)  # type: ignore[no-any-return]
    finally:
        deadline.end(token)
