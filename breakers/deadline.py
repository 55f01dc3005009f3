"""When the present call must be over, for the callee to read.

A deadline is a point on the monotonic clock, carried in a context variable: coroutines, and
threads that this library starts, see their caller's. An inner one never exceeds an outer one.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from types import TracebackType
from typing import NamedTuple

from breakers.clock import SYSTEM_CLOCK

_now = SYSTEM_CLOCK.monotonic


class Deadline(NamedTuple):
    """A point in time: `at` on the monotonic clock, and the `budget` in seconds that it came from.

    >>> Deadline.after(2.0).remaining() <= 2.0
    True
    """

    at: float
    budget: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline `seconds` from now, or the present one if that comes first."""
        at = _now() + seconds
        outer = _current.get()
        return outer if outer is not None and outer.at < at else cls(at, seconds)

    def remaining(self) -> float:
        """Seconds left, never below 0."""
        left = self.at - _now()
        return left if left > 0.0 else 0.0


_current: ContextVar[Deadline | None] = ContextVar("breakers_deadline", default=None)


def current_deadline() -> Deadline | None:
    """The deadline of the call that is running, or None.

    >>> from breakers import timeout
    >>> with timeout(5.0):
    ...     current_deadline().budget
    5.0
    >>> current_deadline() is None
    True
    """
    return _current.get()


def remaining(default: float | None = None) -> float | None:
    """Seconds left to the call that is running; `default` where there is no deadline.

    >>> remaining(5.0)
    5.0
    """
    deadline = _current.get()
    return default if deadline is None else deadline.remaining()


class bounded:  # noqa: N801 - reads as a word
    """A deadline for what runs inside to read; it interrupts nobody. None sets none.

    >>> with bounded(2.0):
    ...     remaining() <= 2.0
    True
    """

    __slots__ = ("_seconds", "_token")
    _token: Token[Deadline | None] | None

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds

    def __enter__(self) -> Deadline | None:
        seconds = self._seconds
        self._token = None if seconds is None else _current.set(Deadline.after(seconds))
        return _current.get()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._token is not None:
            _current.reset(self._token)
