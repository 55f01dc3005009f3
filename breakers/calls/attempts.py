"""The attempts of one call: retry ▸ breaker ▸ timeout ▸ hedge ▸ call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from breakers.calls.coroutine_timeouts import CoroutineTimeout
from breakers.calls.hedging import hedged
from breakers.calls.options import CallOptions
from breakers.calls.retries import RetryAttempt, full_jitter, retry_after
from breakers.calls.thread_timeouts import call_within
from breakers.circuit.decorators import notify
from breakers.deadline import _current, current_deadline
from breakers.errors import BulkheadFull, CallTimeout, CircuitBreakerOpen

LONGEST_PAUSE_S: Final = 60.0


class Attempts:
    """How a caller makes them; `sleep`, `asleep` and `random` are its own."""

    def __init__(
        self,
        sleep: Callable[[float], object],
        asleep: Callable[[float], Awaitable[object]],
        random: Callable[[], float],
    ) -> None:
        self._sleep, self._asleep, self._random = sleep, asleep, random

    def run(self, func: Callable[..., Any], options: CallOptions, args: Any, kwargs: Any) -> Any:
        """The first answer that needs no other, or the last attempt's answer or error."""
        declared, attempts, delay = options.effective()
        breaker, budget = options.circuit_breaker, options.budget
        if budget is not None:
            budget.deposit()
        attempt = 0
        while True:
            attempt += 1
            result: Any = None
            timeout = _attempt_timeout(declared)
            try:
                if timeout is None:
                    result = (
                        func(*args, **kwargs)
                        if breaker is None
                        else breaker.call(func, *args, **kwargs)
                    )
                elif breaker is None:
                    result = call_within(timeout, options.strategy, func, *args, **kwargs)
                else:
                    result = breaker.call(
                        call_within, timeout, options.strategy, func, *args, **kwargs
                    )
                if options.retry_on_result is None or not options.retry_on_result(result):
                    return result
            except Exception as error:
                pause = self.pause(options, error, None, attempt, attempts, delay)
                if pause is None:
                    raise
            else:
                pause = self.pause(options, None, result, attempt, attempts, delay)
                if pause is None:
                    return result
            self._sleep(pause)

    async def arun(
        self, func: Callable[..., Awaitable[Any]], options: CallOptions, args: Any, kwargs: Any
    ) -> Any:
        """`make` for a coroutine function. Breaker and timeout are entered by hand: each coroutine
        that only awaits another costs as much as the breaker does."""
        declared, attempts, delay = options.effective()
        breaker, budget = options.circuit_breaker, options.budget
        if budget is not None:
            budget.deposit()
        if options.hedge_delay is not None:
            args = (options.hedge_delay, options.hedge_attempts, func, *args)
            func = hedged
        attempt = 0
        while True:
            attempt += 1
            result: Any = None
            timeout = _attempt_timeout(declared)
            try:
                held = breaker.enter() if breaker is not None else None
                try:
                    if timeout is None:
                        result = await func(*args, **kwargs)
                    else:
                        within = CoroutineTimeout(timeout)
                        try:
                            result = await func(*args, **kwargs)
                        except BaseException as error:
                            within.failed(error)
                            raise
                        within.returned()
                except BaseException as error:
                    if breaker is not None and held is not None:
                        breaker.leave(held[0], held[1], error)
                    raise
                if breaker is not None and held is not None:
                    breaker.leave(held[0], held[1], None, result)
                if options.retry_on_result is None or not options.retry_on_result(result):
                    return result
            except Exception as error:
                pause = self.pause(options, error, None, attempt, attempts, delay)
                if pause is None:
                    raise
            else:
                pause = self.pause(options, None, result, attempt, attempts, delay)
                if pause is None:
                    return result
            await self._asleep(pause)

    def pause(
        self,
        options: CallOptions,
        error: Exception | None,
        result: Any,
        attempt: int,
        attempts: int,
        delay: float,
    ) -> float | None:
        """Seconds to wait before the next attempt; None where there must be none. A pause is drawn
        from the budget and counted. For integrations that make their attempts themselves."""
        if attempt >= attempts:
            return None
        if error is not None and (
            isinstance(error, CircuitBreakerOpen | BulkheadFull) or not options.is_retried(error)
        ):
            return None
        asked = retry_after(result if error is None else error)
        pause = (
            full_jitter(attempt, delay, options.retry_delay_max, self._random, options.retry_jitter)
            if asked is None
            else asked
        )
        if pause > LONGEST_PAUSE_S:
            # Who asks for so much time does not want to be asked again by this call.
            return None
        deadline = current_deadline()
        if deadline is not None and pause >= deadline.remaining():
            return None
        if options.budget is not None and not options.budget.withdraw():
            return None
        if options.circuit_breaker is not None:
            options.circuit_breaker.count("retry")
        if options.on_retry is not None:
            notify(options.on_retry, RetryAttempt(attempt, attempts, error, result, pause))
        return pause


def _attempt_timeout(timeout: float | None) -> float | None:
    """The time of the next attempt: its own, or what a deadline leaves where it has none.

    Raises:
        CallTimeout: the deadline has passed; the callee is not asked.
    """
    deadline = _current.get()
    if deadline is None:
        return timeout
    left = deadline.remaining()
    if left <= 0:
        raise CallTimeout(deadline.budget)
    return left if timeout is None else timeout
