"""What a web service answers where a call could not be made: 503 and when to come again, or 504."""

from __future__ import annotations

from math import ceil, isfinite
from typing import Final, NamedTuple

from breakers.errors import BulkheadFull, CallTimeout, CircuitBreakerOpen, RateLimited

REFUSALS: Final = (CircuitBreakerOpen, BulkheadFull, RateLimited, CallTimeout)
# Where nobody can say: an operator holds it open, the probes are out, the bulkhead is full.
_SOME_TIME_S: Final = 5


class Refusal(NamedTuple):
    """An HTTP answer. It names no breaker: what a service depends on is not for its clients."""

    status: int
    reason: str
    headers: dict[str, str]

    @property
    def body(self) -> str:
        """A line for people."""
        return self.reason + "\n"


def refusal(error: Exception) -> Refusal:
    """The answer for an error; `Retry-After` is in whole seconds, at least one.

    >>> refusal(CircuitBreakerOpen("posts", 12.5)).headers["Retry-After"]
    '13'
    >>> refusal(CallTimeout(2.0)).status
    504
    """
    headers = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
    if isinstance(error, CallTimeout):
        return Refusal(504, "No answer in time.", headers)
    after = getattr(error, "retry_after_s", None)
    seconds = max(1, ceil(after)) if after is not None and isfinite(after) else _SOME_TIME_S
    headers["Retry-After"] = str(seconds)
    return Refusal(503, "Not available at present; try again later.", headers)
