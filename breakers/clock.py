"""Time, injectable. Decisions read the monotonic clock only; reports to people read the wall."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings in seconds. `monotonic` never steps; `wall` is Unix time."""

    def monotonic(self) -> float: ...

    def wall(self) -> float: ...


class SystemClock:
    """The machine's clocks.

    >>> clock = SystemClock()
    >>> clock.monotonic() <= clock.monotonic()
    True
    """

    monotonic = staticmethod(time.monotonic)
    wall = staticmethod(time.time)


SYSTEM_CLOCK = SystemClock()
