"""A bound on the time of a call, sync and async.

In the main thread of a Unix process a sync call is really interrupted, by an interval timer.
Elsewhere `with timeout(…)` cannot interrupt: it sets the deadline for the callee to read, and
raises when the block ends late. `call_within` frees its caller always: it interrupts where that is
possible and isolates the call in a thread elsewhere. docs/decisions/0003 weighs the strategies.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable
from contextvars import Token
from types import FrameType, TracebackType
from typing import Any, Final, Literal, ParamSpec, TypeVar

from breakers.clock import SYSTEM_CLOCK
from breakers.deadline import Deadline, _current
from breakers.errors import CallTimeout
from breakers.isolation import isolation

P = ParamSpec("P")
R = TypeVar("R")
Strategy = Literal["auto", "thread", "cooperative"]
STRATEGIES: Final = ("auto", "thread", "cooperative")

_main = threading.main_thread()
_can_interrupt: Final = hasattr(signal, "setitimer")


class timeout:  # noqa: N801 - the article's name, used like a function
    """Bound a block: `CallTimeout` once `seconds` have passed. Nests; the earliest deadline wins.

    >>> with timeout(1.0):
    ...     pass
    """

    __slots__ = (
        "_armed",
        "_armed_at",
        "_deadline",
        "_handler",
        "_outer_timer",
        "_token",
        "seconds",
    )

    def __init__(self, seconds: float) -> None:
        if not seconds > 0:
            raise ValueError(f"seconds is {seconds!r}; it must be above 0")
        self.seconds = seconds
        self._token: Token[Deadline | None] | None = None

    def __enter__(self) -> Deadline:
        self._deadline = Deadline.after(self.seconds)
        self._token = _current.set(self._deadline)
        self._armed = can_interrupt()
        if self._armed:
            self._handler = signal.signal(signal.SIGALRM, self._ring)
            self._outer_timer = signal.setitimer(
                signal.ITIMER_REAL, max(self._deadline.remaining(), 1e-6)
            )[0]
            self._armed_at = SYSTEM_CLOCK.monotonic()
        return self._deadline

    def _ring(self, number: int, frame: FrameType | None) -> None:
        raise CallTimeout(self._deadline.budget)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        late = False
        if self._armed:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                self._restore()
        else:
            late = self._deadline.remaining() <= 0
        if self._token is not None:
            _current.reset(self._token)
        if late and error is None:
            raise CallTimeout(self._deadline.budget)

    def _restore(self) -> None:
        """Hand the timer back to whoever held it, with what is left of their time."""
        signal.signal(signal.SIGALRM, self._handler)
        if self._outer_timer:
            spent = SYSTEM_CLOCK.monotonic() - self._armed_at
            signal.setitimer(signal.ITIMER_REAL, max(self._outer_timer - spent, 1e-6))


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
    if strategy == "cooperative" or (strategy == "auto" and can_interrupt()):
        with timeout(seconds):
            return func(*args, **kwargs)
    deadline = Deadline.after(seconds)
    token = _current.set(deadline)
    try:
        result: Any = isolation.run(lambda: func(*args, **kwargs), deadline)
    finally:
        _current.reset(token)
    return result  # type: ignore[no-any-return]


async def acall_within(
    seconds: float, func: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
) -> R:
    """`await func(*args, **kwargs)` within `seconds`; a cancellation from outside stays one.

    Raises:
        CallTimeout: the time was up.
    """
    deadline = Deadline.after(seconds)
    token = _current.set(deadline)
    scope = asyncio.timeout(deadline.remaining())
    try:
        async with scope:
            return await func(*args, **kwargs)
    except TimeoutError:
        if scope.expired():
            raise CallTimeout(deadline.budget) from None
        raise
    finally:
        _current.reset(token)
