"""Calls the hooks of attempts and calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from breakers.calls.options import CallOptions
from breakers.calls.records import CallRecord, CallTrace
from breakers.clock import SYSTEM_CLOCK
from breakers.common.exception_groups import find
from breakers.common.listeners import anotify, notify
from breakers.errors import BulkheadFull, CallTimeout, CircuitBreakerOpen, RateLimited

_REFUSALS = (CircuitBreakerOpen, BulkheadFull, RateLimited)


def outcome_of(error: BaseException | None) -> str:
    """The outcome of an attempt, or of a call that nothing else answered.

    >>> outcome_of(None), outcome_of(CallTimeout(1.0)), outcome_of(ValueError())
    ('success', 'timeout', 'failure')
    """
    if error is None:
        return "success"
    if find(error, _REFUSALS) is not None:
        return "rejected"
    return "timeout" if find(error, CallTimeout) is not None else "failure"


def observe(
    options: CallOptions,
    func: Callable[..., Any],
    args: Any,
    kwargs: Any,
    number: tuple[int, int],
    error: BaseException | None,
    result: Any,
    started: float,
) -> None:
    """Call `on_attempt` for an attempt that has ended."""
    if options.on_attempt is not None:
        record = _record(func, args, kwargs, number, outcome_of(error), error, result, started)
        notify(options.on_attempt, record)


async def aobserve(
    options: CallOptions,
    func: Callable[..., Any],
    args: Any,
    kwargs: Any,
    number: tuple[int, int],
    error: BaseException | None,
    result: Any,
    started: float,
) -> None:
    """`observe` for hooks that may be coroutine functions."""
    if options.on_attempt is not None:
        record = _record(func, args, kwargs, number, outcome_of(error), error, result, started)
        await anotify(options.on_attempt, record)


def call_record(
    trace: CallTrace,
    func: Callable[..., Any],
    args: Any,
    kwargs: Any,
    error: BaseException | None,
    result: Any,
) -> CallRecord:
    """The record of a call that has ended."""
    outcome = trace.outcome or outcome_of(error)
    hidden = trace.error if error is None else error
    number = (trace.attempt, trace.attempts)
    return _record(func, args, kwargs, number, outcome, hidden, result, trace.started)


def _record(
    func: Callable[..., Any],
    args: Any,
    kwargs: Any,
    number: tuple[int, int],
    outcome: str,
    error: BaseException | None,
    result: Any,
    started: float,
) -> CallRecord:
    elapsed = SYSTEM_CLOCK.monotonic() - started
    return CallRecord(func, args, kwargs, number[0], number[1], outcome, error, result, elapsed)
