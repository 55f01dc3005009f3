"""A token bucket that limits retries to a share of the calls."""

from __future__ import annotations

from breakers.common.counter import Counter
from breakers.common.forking import renew_after_fork
from breakers.common.guard import Guard
from breakers.common.validation import number


class RetryBudget:
    """A token bucket: each call puts in `ratio`, each retry takes 1, so that over time retries add
    at most that share of load; `burst` is what it holds, full at first. As in Finagle and Envoy.

    >>> budget = RetryBudget(ratio=0.5, burst=1)
    >>> budget.withdraw(), budget.withdraw()
    (True, False)
    """

    __slots__ = ("__weakref__", "_calls", "_guard", "_tokens", "burst", "deposit", "ratio")

    def __init__(self, ratio: float = 0.2, burst: float = 10.0) -> None:
        self.ratio = number("ratio", ratio, 0, 1)
        self.burst = number("burst", burst, 1)
        self._after_fork()
        renew_after_fork(self)

    def __reduce__(self) -> tuple[type[RetryBudget], tuple[float, float]]:
        """Another process gets a budget of its own."""
        return type(self), (self.ratio, self.burst)

    def _after_fork(self) -> None:
        self._tokens = self.burst
        self._guard = Guard()
        self._calls = Counter()
        self.deposit = self._calls.add
        """A call has begun."""

    def withdraw(self) -> bool:
        """Whether one retry may be made."""
        return bool(self._guard.run_now(self._withdraw))

    def _withdraw(self) -> bool:
        earned = self.ratio * self._calls.take()
        self._tokens = min(self.burst, self._tokens + earned)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
