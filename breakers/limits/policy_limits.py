"""The limits that an operator's policy sets for the calls of one breaker."""

from __future__ import annotations

import threading

from breakers.common.forking import renew_after_fork
from breakers.limits.bulkhead import Bulkhead
from breakers.limits.rate_limit import RateLimiter
from breakers.limits.retry_budget import RetryBudget


class PolicyLimits:
    """One bulkhead, rate limiter and retry budget, shared by all calls through a breaker.

    Each is made when a policy first asks for it. A bulkhead is resized rather than replaced, so
    that the calls that hold a slot stay counted.
    """

    __slots__ = ("__weakref__", "_budget", "_bulkhead", "_limiter", "_lock")

    def __init__(self) -> None:
        self._bulkhead: Bulkhead | None = None
        self._limiter: RateLimiter | None = None
        self._budget: RetryBudget | None = None
        self._after_fork()
        renew_after_fork(self)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()

    def bulkhead(self, size: int, max_wait: float) -> Bulkhead:
        """The bulkhead, with this many slots."""
        with self._lock:
            if self._bulkhead is None:
                self._bulkhead = Bulkhead(size, max_wait)
            self._bulkhead.resize(size)
            self._bulkhead.max_wait = max_wait
            return self._bulkhead

    def limiter(self, rate: float, max_wait: float) -> RateLimiter:
        """A limiter of `rate` calls a second; the same one while the rate stays."""
        # A rate below 1 is one call in more than a second.
        calls = max(1, round(rate))
        per = calls / rate
        with self._lock:
            kept = self._limiter
            if kept is None or (kept.calls, kept.per) != (calls, per):
                kept = self._limiter = RateLimiter(calls, per, max_wait=max_wait)
            return kept

    def budget(self, ratio: float) -> RetryBudget:
        """The retry budget, with this share of the calls."""
        with self._lock:
            if self._budget is None:
                self._budget = RetryBudget(ratio)
            self._budget.ratio = ratio
            return self._budget
