"""Time limits for sync code: an interval timer in the main thread, a worker thread elsewhere.

In the main thread of a Unix process, `timeout` and `call_within` interrupt the call by `SIGALRM`.
In other threads `with timeout(…)` cannot interrupt. It sets the deadline, which the callee can
read, and raises when the block ends late. `call_within` always returns to its caller in time: where
it cannot interrupt, it runs the call in a worker thread. docs/decisions/0003 compares the
strategies.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from contextvars import Token
from types import FrameType, TracebackType
from typing import Any, Final, Literal, ParamSpec, TypeVar

from breakers.calls.isolation import isolation
from breakers.clock import SYSTEM_CLOCK
from breakers.common import validation
from breakers.common.uninterruptible import is_uninterruptible
from breakers.deadline import Deadline, _current
from breakers.errors import CallTimeout

P = ParamSpec("P")
R = TypeVar("R")
Strategy = Literal["auto", "thread", "cooperative"]
STRATEGIES: Final = ("auto", "thread", "cooperative")

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
        if is_uninterruptible(frame):
            # An exception here would leave the state of a breaker half-updated.
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
