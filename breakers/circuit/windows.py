"""Windows over a breaker's recent calls. Not locked: the breaker that owns one sees to that."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf
from typing import Final, Protocol

from breakers.circuit.policy import Policy
from breakers.common.uninterruptible import uninterruptible

FAILED: Final = 1
SLOW: Final = 2
_BUCKETS: Final = 20


@dataclass(frozen=True, slots=True)
class WindowFigures:
    """What a window holds. Rates are shares from 0 to 1, and 0 where there was no call."""

    calls: int = 0
    failures: int = 0
    slow: int = 0
    consecutive_failures: int = 0

    @property
    def failure_rate(self) -> float:
        """Share of the calls that failed."""
        return self.failures / self.calls if self.calls else 0.0

    @property
    def slow_rate(self) -> float:
        """Share of the calls that were slow."""
        return self.slow / self.calls if self.calls else 0.0


class Window(Protocol):
    """Counts of the recent calls, and the time up to which they belong together."""

    calls: int
    failures: int
    slow: int
    edge: float

    def record(self, flags: int, now: float) -> None:
        """Add one call with its `FAILED` and `SLOW` bits."""

    def record_successes(self, n: int, now: float) -> None:
        """Add calls that neither failed nor were slow."""

    def advance(self, now: float) -> None:
        """Let go of what is too old."""


@uninterruptible
class CountWindow:
    """The last `size` calls, in a ring.

    >>> window = CountWindow(3)
    >>> for flags in (FAILED, 0, 0, SLOW):
    ...     window.record(flags, now=0.0)
    >>> window.calls, window.failures, window.slow
    (3, 0, 1)
    """

    __slots__ = ("_at", "_ring", "calls", "edge", "failures", "slow")

    def __init__(self, size: int) -> None:
        self._ring = bytearray(size)
        self._at = 0
        self.calls = self.failures = self.slow = 0
        self.edge = inf

    def record(self, flags: int, now: float) -> None:
        recent, at = self._ring, self._at
        if self.calls == len(recent):
            gone = recent[at]
            self.failures -= gone & FAILED
            self.slow -= (gone & SLOW) >> 1
        else:
            self.calls += 1
        recent[at] = flags
        self.failures += flags & FAILED
        self.slow += (flags & SLOW) >> 1
        self._at = (at + 1) % len(recent)

    def record_successes(self, n: int, now: float) -> None:
        size = len(self._ring)
        if not self.failures and not self.slow:
            # Nothing but zeros in the ring: only its fill and its position change.
            self.calls = min(size, self.calls + n)
            self._at = (self._at + n) % size
            return
        for _ in range(min(n, size)):
            self.record(0, now)

    def advance(self, now: float) -> None:
        """A window over calls does not age."""


@uninterruptible
class TimeWindow:
    """The calls of the last `size_s` seconds, in twenty buckets.

    >>> window = TimeWindow(10.0, now=0.0)
    >>> window.record(FAILED, now=1.0)
    >>> window.advance(now=12.0)
    >>> window.calls
    0
    """

    __slots__ = ("_buckets", "_width", "calls", "edge", "failures", "slow")

    def __init__(self, size_s: float, now: float) -> None:
        self._width = size_s / _BUCKETS
        self._buckets: deque[list[float]] = deque()
        self.calls = self.failures = self.slow = 0
        self.edge = now + self._width

    def record(self, flags: int, now: float) -> None:
        failed, slow = flags & FAILED, (flags & SLOW) >> 1
        self._add(1, failed, slow, now)

    def record_successes(self, n: int, now: float) -> None:
        self._add(n, 0, 0, now)

    def _add(self, calls: int, failures: int, slow: int, now: float) -> None:
        self.advance(now)
        start = self.edge - self._width
        if not self._buckets or self._buckets[-1][0] != start:
            self._buckets.append([start, 0, 0, 0])
        bucket = self._buckets[-1]
        bucket[1] += calls
        bucket[2] += failures
        bucket[3] += slow
        self.calls += calls
        self.failures += failures
        self.slow += slow

    def advance(self, now: float) -> None:
        if now >= self.edge:
            self.edge += self._width * (1 + int((now - self.edge) / self._width))
        oldest = self.edge - self._width * _BUCKETS
        while self._buckets and self._buckets[0][0] < oldest - 1e-9:
            _, calls, failures, slow = self._buckets.popleft()
            self.calls -= int(calls)
            self.failures -= int(failures)
            self.slow -= int(slow)


@uninterruptible
def make_window(policy: Policy, now: float) -> Window:
    """The empty window that a policy asks for."""
    if policy.window_type == "time":
        return TimeWindow(float(policy.window_size), now)
    return CountWindow(policy.window_size)
