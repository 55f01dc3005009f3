"""Decides after each attempt whether there is another one, and after which pause."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from breakers.calls.options import CallOptions
from breakers.calls.records import RetryAttempt
from breakers.calls.retries import checked_pause, full_jitter, retry_after
from breakers.calls.switches import switches
from breakers.clock import SYSTEM_CLOCK
from breakers.common.exception_groups import find, leaves
from breakers.common.listeners import anotify, notify
from breakers.common.rules import aapply, apply, is_rule_error
from breakers.deadline import current_deadline
from breakers.errors import BulkheadFull, CircuitBreakerOpen

# A callee that asks for a longer pause is not called again by this call.
LONGEST_PAUSE_S: Final = 60.0
_now = SYSTEM_CLOCK.monotonic


class Pauses:
    """The pauses of a caller, jittered by `random`. Each pause is drawn from the retry budget and
    counted at the breaker."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random

    def pause(
        self,
        options: CallOptions,
        error: Exception | None,
        result: Any,
        attempt: int,
        attempts: int,
        delay: float,
        started: float | None = None,
    ) -> float | None:
        """Seconds until the next attempt; None if there is none. `started` is when the call began,
        for rules that read the elapsed time."""
        attempts = switches.attempts_of(attempts)
        if attempt >= attempts or _ends(error):
            return None
        if error is not None and not apply(options.is_retried, error):
            return None
        state = self._state(options, error, result, attempt, attempts, delay, started)
        if options.retry_if is not None and not apply(options.retry_if, state):
            return None
        if options.retry_pause is not None:
            chosen = apply(_chosen_pause, options.retry_pause, state)
            state = _with_pause(state, chosen)
        elif state.pause_s > max(LONGEST_PAUSE_S, options.retry_delay_max, delay):
            return None
        if not _granted(options, state.pause_s):
            return None
        if options.on_retry is not None:
            notify(options.on_retry, state)
        return state.pause_s

    async def apause(
        self,
        options: CallOptions,
        error: Exception | None,
        result: Any,
        attempt: int,
        attempts: int,
        delay: float,
        started: float | None = None,
    ) -> float | None:
        """`pause` for options whose rules may be coroutine functions."""
        attempts = switches.attempts_of(attempts)
        if attempt >= attempts or _ends(error):
            return None
        if error is not None and not await _is_retried(options, error):
            return None
        state = self._state(options, error, result, attempt, attempts, delay, started)
        if options.retry_if is not None and not await aapply(options.retry_if, state):
            return None
        if options.retry_pause is not None:
            chosen = await aapply(options.retry_pause, state)
            state = _with_pause(state, apply(checked_pause, chosen))
        elif state.pause_s > max(LONGEST_PAUSE_S, options.retry_delay_max, delay):
            return None
        if not _granted(options, state.pause_s):
            return None
        if options.on_retry is not None:
            await anotify(options.on_retry, state)
        return state.pause_s

    def _state(
        self,
        options: CallOptions,
        error: Exception | None,
        result: Any,
        attempt: int,
        attempts: int,
        delay: float,
        started: float | None,
    ) -> RetryAttempt:
        pause = retry_after(result if error is None else error)
        if pause is None:
            cap, jitter = options.retry_delay_max, options.retry_jitter
            pause = full_jitter(attempt, delay, cap, self._random, jitter)
        elapsed = 0.0 if started is None else _now() - started
        return RetryAttempt(attempt, attempts, error, result, pause, elapsed)


def _ends(error: Exception | None) -> bool:
    """Whether an error is never followed by another attempt."""
    return error is not None and (
        find(error, (CircuitBreakerOpen, BulkheadFull)) is not None or is_rule_error(error)
    )


async def _is_retried(options: CallOptions, error: Exception) -> bool:
    if not options.retry_on_is_async:
        return bool(apply(options.is_retried, error))
    for each in leaves(error):
        if not await aapply(options.is_retried, each):
            return False
    return True


def _granted(options: CallOptions, pause: float) -> bool:
    """Whether the deadline and the budget allow a retry. It is counted then."""
    deadline = current_deadline()
    if deadline is not None and pause >= deadline.remaining():
        return False
    if options.budget is not None and not options.budget.withdraw():
        return False
    if options.circuit_breaker is not None:
        options.circuit_breaker.count("retry")
    return True


def _chosen_pause(rule: Callable[[RetryAttempt], object], state: RetryAttempt) -> float:
    return checked_pause(rule(state))


def _with_pause(state: RetryAttempt, pause: float) -> RetryAttempt:
    return RetryAttempt(
        state.attempt, state.attempts, state.error, state.result, pause, state.elapsed_s
    )
