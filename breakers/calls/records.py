"""What hooks are given: a record of a retry, of an attempt or of a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RetryAttempt:
    """The state of a call after an attempt, before a possible next one.

    `attempt` of `attempts` has ended after `elapsed_s` seconds of the call, with `error`, or with a
    `result`. The next attempt would begin in `pause_s` seconds.

    >>> from breakers import CallOptions, ResilientCaller
    >>> def log(retry: RetryAttempt) -> None:
    ...     print(f"{retry.attempt} of {retry.attempts} failed: {retry.error!r}")
    >>> options = CallOptions(
    ...     timeout=None, retries=2, retry_delay=0.0, on_retry=log, fallback=lambda text: 0
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
    elapsed_s: float = 0.0


@dataclass(frozen=True, slots=True)
class CallRecord:
    """An attempt, or a whole call, that has ended.

    `attempt` is the number of the attempt, or how many the call made. `outcome` is `success`,
    `failure`, `timeout` or `rejected` (a breaker, a bulkhead or a rate limit refused); for a call
    also `cached`, `stale` or `fallback`, with the `error` that was hidden. `result` is None if the
    call raised.

    >>> from breakers import CallOptions, ResilientCaller
    >>> def log(record: CallRecord) -> None:
    ...     print(record.function.__name__, record.args, record.outcome, record.attempt)
    >>> ResilientCaller().call(len, CallOptions(timeout=None, on_call=log), "four")
    len ('four',) success 1
    4
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    attempt: int
    attempts: int
    outcome: str
    error: BaseException | None
    result: Any
    elapsed_s: float


class CallTrace:
    """Collects what the record of a call needs while the call runs."""

    __slots__ = ("attempt", "attempts", "error", "outcome", "started")

    def __init__(self, started: float) -> None:
        self.started = started
        self.attempt = self.attempts = 0
        self.outcome = ""
        self.error: BaseException | None = None
