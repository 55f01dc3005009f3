"""A bound on calls in a span of time, for dependencies that enforce a quota."""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from breakers.clock import SYSTEM_CLOCK, Clock
from breakers.common import async_library
from breakers.common.forking import renew_after_fork
from breakers.common.guard import Guard, Nested
from breakers.common.validation import number, whole
from breakers.criticality import usable_share
from breakers.deadline import remaining
from breakers.errors import RateLimited

# What adding up intervals may take from a turn that is due.
_ROUNDING_S: Final = 1e-9


class RateLimiter:
    """At most `calls` calls in `per` seconds, evenly, after a burst of at most `burst`.

    The generic cell rate algorithm (ITU-T I.371): one number says when the next call conforms, so
    that a limiter costs one lock and no queue. Sheddable calls leave a quarter of the burst to the
    others. Threads and coroutines may share one.

    Args:
        calls, per: the rate; `per` is seconds.
        burst: how many may come at once after a quiet time; `calls` where it is not given.
        max_wait: seconds a caller may be held back; never beyond the present deadline.

    Raises:
        PolicyError: at construction.

    >>> limiter = RateLimiter(2, per=60)
    >>> limiter.acquire(), limiter.acquire()
    (0.0, 0.0)
    >>> limiter.acquire()
    Traceback (most recent call last):
      ...
    breakers.errors.RateLimited: over 2 calls in 60 s; the next may come in 30.0 s
    """

    def __init__(
        self,
        calls: int,
        per: float = 1.0,
        *,
        burst: int | None = None,
        max_wait: float = 0.0,
        clock: Clock = SYSTEM_CLOCK,
        sleep: Callable[[float], object] = time.sleep,
        asleep: Callable[[float], Awaitable[object]] = async_library.sleep,
    ) -> None:
        self.calls = whole("calls", calls)
        self.per = number("per", per, 0.001, 86_400, "s")
        self.burst = calls if burst is None else whole("burst", burst)
        self.max_wait = number("max_wait", max_wait, 0, 3600, "s")
        self._interval = per / calls
        self._now, self._sleep, self._asleep = clock.monotonic, sleep, asleep
        self._conforms_at = self._now()
        self._guard = Guard()
        self.rejected = 0
        """Callers turned away since the start."""
        renew_after_fork(self)

    def acquire(self) -> float:
        """Take a turn; returns the seconds it was waited for.

        Raises:
            RateLimited: the turn would come later than `max_wait` or the present deadline.
        """
        wait, turn = self._reserve()
        if wait > 0:
            try:
                self._sleep(wait)
            except BaseException:
                self._give_back(turn)
                raise
        return wait

    async def aacquire(self) -> float:
        """`acquire` for coroutines."""
        wait, turn = self._reserve()
        if wait > 0:
            try:
                await self._asleep(wait)
            except BaseException:
                self._give_back(turn)
                raise
        return wait

    def _reserve(self) -> tuple[float, float]:
        """Seconds until this caller's turn, which is taken, and what to give back of it."""
        left = remaining()
        patience = self.max_wait if left is None else min(self.max_wait, left)
        reserved = self._guard.run_now(self._try_to_reserve, patience, usable_share())
        if isinstance(reserved, tuple):
            return reserved
        self.rejected += 1
        raise RateLimited(
            self.calls, self.per, self._interval if isinstance(reserved, Nested) else reserved
        )

    def _try_to_reserve(self, patience: float, usable: float) -> tuple[float, float] | float:
        """The wait and the turn, or the wait alone where it is too long. `usable` is the share of
        the burst that this call may take."""
        now = self._now()
        conforms_at = max(self._conforms_at, now)
        tolerance = (self.burst * usable - 1) * self._interval
        wait = max(0.0, self._conforms_at - tolerance - now)
        if wait < _ROUNDING_S:
            wait = 0.0
        if wait > patience:
            return wait
        self._conforms_at = conforms_at + self._interval
        return wait, self._conforms_at

    def _give_back(self, turn: float) -> None:
        """Give up a turn; it is lost where another caller stands behind it."""
        self._guard.run(self._take_back, turn)

    def _take_back(self, turn: float) -> None:
        if self._conforms_at == turn:
            self._conforms_at -= self._interval

    def __enter__(self) -> float:
        """Wait for a turn; the seconds it took. Leaving the block gives nothing back."""
        return self.acquire()

    def __exit__(self, *exc_info: object) -> None:
        pass

    async def __aenter__(self) -> float:
        return await self.aacquire()

    async def __aexit__(self, *exc_info: object) -> None:
        pass

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process gets a limiter of its own, with the same limit."""
        made = functools.partial(RateLimiter, burst=self.burst, max_wait=self.max_wait)
        return made, (self.calls, self.per)

    def _after_fork(self) -> None:
        self._guard = Guard()
