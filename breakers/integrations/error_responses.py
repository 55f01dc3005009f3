"""HTTP responses for refused and timed-out calls: 503 with `Retry-After`, or 504."""

from __future__ import annotations

from math import ceil, isfinite
from typing import Final, NamedTuple

from breakers.common.exception_groups import leaves
from breakers.errors import BulkheadFull, CallTimeout, CircuitBreakerOpen, RateLimited

REFUSALS: Final = (CircuitBreakerOpen, BulkheadFull, RateLimited, CallTimeout)
# For refusals without a known end: forced open, all probes in use, a full bulkhead.
_DEFAULT_RETRY_AFTER_S: Final = 5
# An override may be lifted long before its end: clients look again after this at the latest.
_MAX_RETRY_AFTER_S: Final = 60


def refusal_in(error: BaseException) -> Exception | None:
    """The refusal or timeout that an error is, or that every error in a group is.

    >>> group = ExceptionGroup("tasks", [CircuitBreakerOpen("posts", 12.5)])
    >>> refusal_in(group)
    CircuitBreakerOpen('posts', 12.5)
    >>> refusal_in(ExceptionGroup("tasks", [CircuitBreakerOpen("posts", 12.5), KeyError()]))
    """
    found = None
    for each in leaves(error):
        if not isinstance(each, REFUSALS):
            return None
        if found is None or isinstance(found, CallTimeout):
            found = each
    return found


class Refusal(NamedTuple):
    """An HTTP response. It names no breaker: clients must not learn the service's dependencies."""

    status: int
    reason: str
    headers: dict[str, str]

    @property
    def body(self) -> str:
        """A line of text for people."""
        return self.reason + "\n"


def refusal(error: Exception) -> Refusal:
    """The response for an error. `Retry-After` is in whole seconds, at least one.

    >>> refusal(CircuitBreakerOpen("posts", 12.5)).headers["Retry-After"]
    '13'
    >>> refusal(CallTimeout(2.0)).status
    504
    """
    headers = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
    if isinstance(error, CallTimeout):
        return Refusal(504, "No answer in time.", headers)
    after = getattr(error, "retry_after_s", None)
    seconds = (
        min(_MAX_RETRY_AFTER_S, max(1, ceil(after)))
        if after is not None and isfinite(after)
        else _DEFAULT_RETRY_AFTER_S
    )
    headers["Retry-After"] = str(seconds)
    return Refusal(503, "Not available at present; try again later.", headers)
