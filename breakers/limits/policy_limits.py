"""The limits that an operator's policy sets for the calls of one breaker."""

from __future__ import annotations

from breakers.common.forking import renew_after_fork
from breakers.common.guard import Guard
from breakers.limits.bulkhead import Bulkhead
from breakers.limits.rate_limit import RateLimiter
from breakers.limits.retry_budget import RetryBudget


class PolicyLimits:
    """One bulkhead, rate limiter and retry budget, shared by all calls through a breaker.

    Each is made when a policy first asks for it. A bulkhead is resized rather than replaced, so
    that the calls that hold a slot stay counted.
    """

    __slots__ = ("__weakref__", "_budget", "_bulkhead", "_guard", "_limiter")

    def __init__(self) -> None:
        self._bulkhead: Bulkhead | None = None
        self._limiter: RateLimiter | None = None
        self._budget: RetryBudget | None = None
        self._after_fork()
        renew_after_fork(self)

    def _after_fork(self) -> None:
        self._guard = Guard()

    def bulkhead(self, size: int, max_wait: float) -> Bulkhead:
        """The bulkhead, with this many slots."""
        found = self._bulkhead
        if found is None:
            self._guard.run_now(self._make_bulkhead, size, max_wait)
            found = self._bulkhead or Bulkhead(size, max_wait)
        if found.max_concurrent != size:
            found.resize(size)
        found.max_wait = max_wait
        return found

    def _make_bulkhead(self, size: int, max_wait: float) -> None:
        self._bulkhead = self._bulkhead or Bulkhead(size, max_wait)

    def limiter(self, rate: float, max_wait: float) -> RateLimiter:
        """A limiter of `rate` calls a second; the same one while the rate stays."""
        # A rate below 1 is one call in more than a second.
        calls = max(1, round(rate))
        per = calls / rate
        made = self._guard.run_now(self._make_limiter, calls, per, max_wait)
        if isinstance(made, RateLimiter):
            return made
        return self._limiter or RateLimiter(calls, per, max_wait=max_wait)

    def _make_limiter(self, calls: int, per: float, max_wait: float) -> RateLimiter:
        kept = self._limiter
        if kept is None or (kept.calls, kept.per) != (calls, per):
            kept = self._limiter = RateLimiter(calls, per, max_wait=max_wait)
        return kept

    def budget(self, ratio: float) -> RetryBudget:
        """The retry budget, with this share of the calls."""
        found = self._budget
        if found is None:
            self._guard.run_now(self._make_budget, ratio)
            found = self._budget or RetryBudget(ratio)
        found.ratio = ratio
        return found

    def _make_budget(self, ratio: float) -> None:
        self._budget = self._budget or RetryBudget(ratio)
