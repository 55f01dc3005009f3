"""When the present call must be over, for the callee to read.

A deadline is a point on the monotonic clock, carried in a context variable: coroutines, and
threads that this library starts, see their caller's. An inner one never exceeds an outer one.
"""

from __future__ import annotations

from contextvars import ContextVar
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
    """The deadline of the call that is running, or None."""
    return _current.get()


def remaining(default: float | None = None) -> float | None:
    """Seconds left to the call that is running; `default` where there is no deadline.

    >>> remaining(5.0)
    5.0
    """
    deadline = _current.get()
    return default if deadline is None else deadline.remaining()
