"""Backoff and the budget that keeps retries from becoming a storm."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any


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


class RetryBudget:
    """A token bucket: each call puts in `ratio`, each retry takes 1, so that over time retries add
    at most that share of load; `burst` is what it holds, full at first. As in Finagle and Envoy.

    >>> budget = RetryBudget(ratio=0.5, burst=1)
    >>> budget.withdraw(), budget.withdraw()
    (True, False)
    """

    __slots__ = ("_lock", "_tokens", "burst", "ratio")

    def __init__(self, ratio: float = 0.2, burst: float = 10.0) -> None:
        if not 0 <= ratio <= 1:
            raise ValueError(f"ratio is {ratio!r}; it must be a share from 0 to 1")
        if not burst >= 1:
            raise ValueError(f"burst is {burst!r}; it must be at least 1")
        self.ratio = ratio
        self.burst = burst
        self._tokens = burst
        self._lock = threading.Lock()

    def deposit(self) -> None:
        """A call has begun."""
        # Unlocked: a deposit lost to a race makes the budget stricter, never looser.
        self._tokens = min(self.burst, self._tokens + self.ratio)

    def withdraw(self) -> bool:
        """Whether one retry may be made."""
        with self._lock:
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


def retry_after(error: Exception) -> float | None:
    """What the callee asked for: `error.retry_after` in seconds, or the Retry-After header of an
    HTTP error that carries its response. None where it did not say."""
    said: Any = getattr(error, "retry_after", None)
    if said is None:
        headers = getattr(getattr(error, "response", None), "headers", None) or {}
        said = headers.get("Retry-After")
    try:
        return None if said is None else max(0.0, float(said))
    except (TypeError, ValueError):
        return None
