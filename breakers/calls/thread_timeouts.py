"""Time limits for sync code: an interval timer in the main thread, a worker thread elsewhere.

In the main thread of a Unix process, `timeout` and `call_within` interrupt the call by `SIGALRM`.
Under gevent or eventlet a timer of the hub interrupts the greenlet. Elsewhere `with timeout(…)`
cannot interrupt: it sets the deadline, which the callee can read, and raises when the block ends
late. `call_within` always returns to its caller in time: where it cannot interrupt, it runs the
call in a worker thread. docs/decisions/0003 compares the strategies.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextvars import Token
from types import TracebackType
from typing import Any, Final, Literal, ParamSpec, TypeVar

from breakers.calls.alarms import (
    alarm_for,
    may_use_signals,
    own_code,
)
from breakers.calls.coroutine_timeouts import CoroutineTimeout, TrioTimeout, attempt_timeout
from breakers.calls.greenlets import hub_timer
from breakers.calls.isolation import isolation
from breakers.circuit.admission import TimeLimit
from breakers.clock import SYSTEM_CLOCK
from breakers.common import validation
from breakers.deadline import Deadline, _current
from breakers.errors import CallTimeout

P = ParamSpec("P")
R = TypeVar("R")
Strategy = Literal["auto", "thread", "cooperative"]
STRATEGIES: Final = ("auto", "thread", "cooperative")

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
        self._alarm = alarm_for(deadline)
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


# While these run, a ring is noted and comes again. An exception would leave the timer set.
own_code.update(
    method.__code__ for method in (timeout.__enter__, timeout.__exit__, timeout._end, Deadline.end)
)


def can_interrupt() -> bool:
    """Whether a sync call can be interrupted here: by a signal, or by a hub of greenlets."""
    return may_use_signals() or hub_timer() is not None


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
    deadline = Deadline.after(seconds)
    if strategy == "cooperative":
        return _cooperative(deadline, func, args, kwargs)
    return _isolated(deadline, func, args, kwargs)


def limited(seconds: float, strategy: Strategy) -> Callable[[Callable[..., R], Any, Any], R]:
    """`call_within` for one timeout and strategy, from where there is no enclosing deadline: a
    function of what is called, its args and kwargs."""
    if strategy == "cooperative" and TimeLimit is not None:
        return TimeLimit(seconds, Deadline, _current, CallTimeout).run  # type: ignore[no-any-return]
    if strategy == "cooperative":

        def within(func: Callable[..., R], args: Any, kwargs: Any) -> R:
            deadline = Deadline(_now() + seconds, seconds)
            token = _current.set(deadline)
            try:
                result = func(*args, **kwargs)
                if _now() >= deadline.at:
                    raise CallTimeout(seconds)
                return result
            finally:
                deadline.is_over = True
                _current.reset(token)

    else:

        def within(func: Callable[..., R], args: Any, kwargs: Any) -> R:
            return call_within(seconds, strategy, func, *args, **kwargs)

    return within


def _cooperative(deadline: Deadline, func: Callable[..., R], args: Any, kwargs: Any) -> R:
    token = _current.set(deadline)
    try:
        result = func(*args, **kwargs)
        if deadline.remaining() <= 0:
            raise CallTimeout(deadline.budget)
        return result
    finally:
        deadline.end(token)


def _isolated(deadline: Deadline, func: Callable[..., R], args: Any, kwargs: Any) -> R:
    token = _current.set(deadline)
    try:
        return isolation.run(lambda: func(*args, **kwargs), deadline)  # type: ignore[no-any-return]
    finally:
        deadline.end(token)
