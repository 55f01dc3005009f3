"""Backoff and the budget that keeps retries from becoming a storm."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from breakers.checks import number
from breakers.clock import SYSTEM_CLOCK
from breakers.forking import renew_after_fork
from breakers.tally import Tally


def full_jitter(
    attempt: int, delay: float, cap: float = 60.0, uniform: Callable[[], float] = random.random
) -> float:
    """Seconds to wait after the failed attempt number `attempt` (from 1).

    Anywhere between 0 and the exponential backoff: "full jitter" of Marc Brooker, Exponential
    Backoff And Jitter, AWS Architecture Blog, 2015.

    >>> full_jitter(3, 0.5, uniform=lambda: 1.0)
    2.0
    """
    return uniform() * min(cap, delay * 2.0 ** (attempt - 1))


@dataclass(frozen=True, slots=True)
class RetryAttempt:
    """What a hook is told before the pause that precedes another attempt.

    `attempt` of `attempts` has just ended, with `error`, or with a `result` that is not good
    enough; the next begins in `pause_s` seconds.

    >>> from breakers import CallOptions, ResilientCaller
    >>> def told(retry: RetryAttempt) -> None:
    ...     print(f"{retry.attempt} of {retry.attempts} failed: {retry.error!r}")
    >>> options = CallOptions(
    ...     timeout=None, retries=2, retry_delay=0.0, on_retry=told, fallback=lambda text: 0
    ... )
    >>> ResilientCaller().call(float, options, "none")
    1 of 2 failed: ValueError("could not convert string to float: 'none'")
    0
    """

    attempt: int
    attempts: int
    error: Exception | None
    result: Any
    pause_s: float


class RetryBudget:
    """A token bucket: each call puts in `ratio`, each retry takes 1, so that over time retries add
    at most that share of load; `burst` is what it holds, full at first. As in Finagle and Envoy.

    >>> budget = RetryBudget(ratio=0.5, burst=1)
    >>> budget.withdraw(), budget.withdraw()
    (True, False)
    """

    __slots__ = ("__weakref__", "_calls", "_lock", "_tokens", "burst", "deposit", "ratio")

    def __init__(self, ratio: float = 0.2, burst: float = 10.0) -> None:
        self.ratio = number("ratio", ratio, 0, 1)
        self.burst = number("burst", burst, 1)
        self._after_fork()
        renew_after_fork(self)

    def _after_fork(self) -> None:
        self._tokens = self.burst
        self._lock = threading.Lock()
        self._calls = Tally()
        self.deposit = self._calls.add
        """A call has begun."""

    def withdraw(self) -> bool:
        """Whether one retry may be made."""
        with self._lock:
            earned = self.ratio * self._calls.take()
            self._tokens = min(self.burst, self._tokens + earned)
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


def retry_after(answer: object) -> float | None:
    """What the callee asked for, by an error or by an answer that is not good enough: its
    `retry_after` in seconds, or the Retry-After header of an HTTP response, or of an error that
    carries one. None where it did not say."""
    said: Any = getattr(answer, "retry_after", None)
    try:
        if said is None:
            response: Any = getattr(answer, "response", answer)
            said = response.headers.get("Retry-After")
        return None if said is None else max(0.0, _seconds(said))
    except (AttributeError, TypeError, ValueError):
        return None


def _seconds(said: Any) -> float:
    try:
        return float(said)
    except ValueError:
        # The header may also be a date; that is the one place where a wall clock is right.
        date = parsedate_to_datetime(said)
    # One without a zone is of Greenwich, as all dates of HTTP are.
    at = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return at.timestamp() - SYSTEM_CLOCK.wall()
