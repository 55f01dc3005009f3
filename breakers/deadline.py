"""The deadline of the running call, for the callee to read.

A deadline is a point on the monotonic clock in a context variable. Coroutines, tasks and the
threads that this library starts see the deadline of their caller. An inner deadline is never later
than an outer one. A deadline ends with its call: work that outlives the call is free of it.
"""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any

from breakers.clock import SYSTEM_CLOCK

_now = SYSTEM_CLOCK.monotonic


class Deadline:
    """A point in time: `at` on the monotonic clock, and the `budget` in seconds it came from.

    >>> Deadline.after(2.0).remaining() <= 2.0
    True
    """

    __slots__ = ("_outer", "at", "budget", "is_over")

    def __init__(self, at: float, budget: float, outer: Deadline | None = None) -> None:
        self.at = at
        self.budget = budget
        self.is_over = False
        """Whether its call has ended."""
        self._outer = outer

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline `seconds` from now, or at the current deadline if that is earlier."""
        at = _now() + seconds
        outer = _current.get()
        if outer is not None:
            if outer.is_over:
                outer = current_deadline()
            if outer is not None and outer.at < at:
                return cls(outer.at, outer.budget, outer)
        return cls(at, seconds, outer)

    def remaining(self) -> float:
        """Seconds left, never below 0."""
        left = self.at - _now()
        return left if left > 0.0 else 0.0

    def end(self, token: Token[Deadline | None] | None = None) -> None:
        """Mark the call as ended, and reset the context variable if `token` is of this context."""
        self.is_over = True
        if token is not None:
            try:  # noqa: SIM105 - suppress costs more than the rest of a call
                _current.reset(token)
            except ValueError:
                # The block is left in another context than it was entered in, where the deadline
                # was never set.
                pass

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Deadline):
            return NotImplemented
        return (self.at, self.budget) == (other.at, other.budget)

    def __hash__(self) -> int:
        return hash((self.at, self.budget))

    def __repr__(self) -> str:
        return f"Deadline(at={self.at!r}, budget={self.budget!r})"


_current: ContextVar[Deadline | None] = ContextVar("breakers_deadline", default=None)


def current_deadline() -> Deadline | None:
    """The deadline of the running call, or None.

    >>> from breakers import timeout
    >>> with timeout(5.0):
    ...     current_deadline().budget
    5.0
    >>> current_deadline() is None
    True
    """
    deadline = _current.get()
    while deadline is not None and deadline.is_over:
        # Its call has ended, and this is a task or a thread that the call started.
        deadline = deadline._outer
    return deadline


def remaining(default: float | None = None) -> float | None:
    """Seconds left to the running call; `default` if there is no deadline.

    >>> remaining(5.0)
    5.0
    """
    deadline = current_deadline()
    return default if deadline is None else deadline.remaining()


class bounded:  # noqa: N801 - used like a function
    """A deadline for the code inside to read. It interrupts nothing. None sets no deadline.

    >>> with bounded(2.0):
    ...     remaining() <= 2.0
    True
    """

    __slots__ = ("_deadline", "_seconds", "_token")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._deadline: Deadline | None = None
        self._token: Token[Deadline | None] | None = None

    def __enter__(self) -> Deadline | None:
        if self._seconds is None:
            return current_deadline()
        self._deadline = deadline = Deadline.after(self._seconds)
        self._token = _current.set(deadline)
        return deadline

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._deadline is not None:
            self._deadline.end(self._token)


class no_deadline:  # noqa: N801 - used like a function
    """Run a block outside the current deadline: what it calls and starts has no deadline.

    Use it for work that serves more than the current call, such as a token refresh or a shared
    connection. It does not lift the timeout of the enclosing call itself, which still interrupts
    the block when the time is up.

    >>> with bounded(2.0), no_deadline():
    ...     print(remaining())
    None
    """

    __slots__ = ("_token",)
    _token: Token[Deadline | None]

    def __enter__(self) -> None:
        self._token = _current.set(None)

    def __exit__(self, *exc_info: Any) -> None:
        with suppress(ValueError):
            _current.reset(self._token)

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, *exc_info: Any) -> None:
        self.__exit__()
