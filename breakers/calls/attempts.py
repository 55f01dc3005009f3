"""The attempts of one call: retry ▸ breaker ▸ timeout ▸ hedge ▸ call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import Any

from breakers.calls.coroutine_timeouts import CoroutineTimeout, acall_within, attempt_timeout
from breakers.calls.hedging import hedged
from breakers.calls.observing import aobserve, observe
from breakers.calls.options import CallOptions
from breakers.calls.pauses import Pauses
from breakers.calls.records import CallTrace
from breakers.calls.switches import switches
from breakers.calls.thread_timeouts import call_within
from breakers.circuit.awaited import GuardedCoroutine
from breakers.clock import SYSTEM_CLOCK
from breakers.common.async_library import need_asyncio
from breakers.common.awaiting import awaitable, mark_misuse
from breakers.common.rules import aapply, apply
from breakers.deadline import _current, current_deadline
from breakers.errors import CallTimeout

_now = SYSTEM_CLOCK.monotonic
_running_loop = asyncio._get_running_loop


class ReturnedCoroutine(Exception):
    """A sync call of a function that returned a coroutine. It must be made as an async call."""


class Attempts:
    """Makes the attempts of a caller's calls. `sleep`, `asleep` and `random` are the caller's."""

    def __init__(
        self,
        sleep: Callable[[float], object],
        asleep: Callable[[float], Awaitable[object]],
        random: Callable[[], float],
    ) -> None:
        self._sleep, self._asleep = sleep, asleep
        self.pauses = Pauses(random)

    def run(
        self,
        func: Callable[..., Any],
        options: CallOptions,
        args: Any,
        kwargs: Any,
        trace: CallTrace | None = None,
    ) -> Any:
        """The first result that needs no retry, or the result or error of the last attempt.

        Raises:
            ReturnedCoroutine: the function returned a coroutine, which has not been started.
        """
        # An operator's policy has been laid over the options already.
        declared, attempts, delay = options.timeout, options.retries, options.retry_delay
        breaker, budget = options.circuit_breaker, options.budget
        if budget is not None:
            budget.deposit()
        attempt = 0
        started = _now() if options.reads_clock else 0.0
        while True:
            attempt += 1
            result: Any = None
            timeout = declared if _current.get() is None else _attempt_timeout(declared)
            if attempt > 1 and breaker is not None:
                breaker._note_attempt(attempt)
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
            except Exception as error:
                if options.is_observed:
                    observe(options, func, args, kwargs, (attempt, attempts), error, None, started)
                    _follow(trace, attempt, attempts)
                pause = self.pauses.pause(options, error, None, attempt, attempts, delay, started)
                if pause is None:
                    raise
            else:
                kind = type(result)
                if kind is CoroutineType or kind is GuardedCoroutine:
                    result.close()
                    raise ReturnedCoroutine
                if options.is_observed:
                    observe(options, func, args, kwargs, (attempt, attempts), None, result, started)
                    _follow(trace, attempt, attempts)
                if not options.judges_results:
                    return result
                if options.retry_on_result is not None and not apply(
                    options.retry_on_result, result
                ):
                    return result
                pause = self.pauses.pause(options, None, result, attempt, attempts, delay, started)
                if pause is None:
                    return result
            if not switches.no_sleep:
                self._sleep(pause)

    async def arun(
        self,
        func: Callable[..., Awaitable[Any]],
        options: CallOptions,
        args: Any,
        kwargs: Any,
        trace: CallTrace | None = None,
    ) -> Any:
        """`run` for a coroutine function. Breaker and timeout are entered here: each coroutine that
        only awaits another costs as much as the breaker does."""
        declared, attempts, delay = options.effective()
        breaker, budget = options.circuit_breaker, options.budget
        if budget is not None:
            budget.deposit()
        called, called_args = func, args
        if options.hedge_delay is not None:
            need_asyncio("hedge_delay")
            called_args = (options.hedge_delay, options.hedge_attempts, func, *args)
            called = hedged
        attempt = 0
        started = _now() if options.reads_clock else 0.0
        while True:
            attempt += 1
            result: Any = None
            timeout = declared if _current.get() is None else _attempt_timeout(declared)
            if attempt > 1 and breaker is not None:
                breaker._note_attempt(attempt)
            try:
                if options.awaits_breaker:
                    result = await _through_async_rules(
                        options, timeout, called, called_args, kwargs
                    )
                else:
                    permit = breaker.enter() if breaker is not None else None
                    try:
                        if timeout is None:
                            result = await called(*called_args, **kwargs)
                        else:
                            within = (
                                CoroutineTimeout(timeout)
                                if _running_loop() is not None
                                else attempt_timeout(timeout)
                            )
                            try:
                                result = await called(*called_args, **kwargs)
                            except BaseException as error:
                                mark_misuse(error)
                                within.failed(error)
                                raise
                            within.returned()
                    except BaseException as error:
                        if timeout is None:
                            mark_misuse(error)
                        if breaker is not None and permit is not None:
                            breaker.leave(permit[0], permit[1], error)
                        raise
                    if breaker is not None and permit is not None:
                        breaker.leave(permit[0], permit[1], None, result)
            except Exception as error:
                if options.is_observed:
                    await aobserve(
                        options, func, args, kwargs, (attempt, attempts), error, None, started
                    )
                    _follow(trace, attempt, attempts)
                pause = await self._apause(options, error, None, attempt, attempts, delay, started)
                if pause is None:
                    raise
            else:
                if options.is_observed:
                    await aobserve(
                        options, func, args, kwargs, (attempt, attempts), None, result, started
                    )
                    _follow(trace, attempt, attempts)
                if not options.judges_results:
                    return result
                if options.retry_on_result is not None and not await aapply(
                    options.retry_on_result, result
                ):
                    return result
                pause = await self._apause(options, None, result, attempt, attempts, delay, started)
                if pause is None:
                    return result
            if not switches.no_sleep:
                await self._asleep(pause)

    async def _apause(self, options: CallOptions, *state: Any) -> float | None:
        if options.has_async_rules:
            return await self.pauses.apause(options, *state)
        return self.pauses.pause(options, *state)


async def _through_async_rules(
    options: CallOptions, timeout: float | None, func: Callable[..., Any], args: Any, kwargs: Any
) -> Any:
    """One attempt through a breaker whose rules must be awaited."""
    breaker = options.circuit_breaker
    assert breaker is not None
    if timeout is None:
        return await breaker.acall(_awaited, func, *args, **kwargs)
    return await breaker.acall(acall_within, timeout, func, *args, **kwargs)


async def _awaited(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    return await awaitable(func(*args, **kwargs), func)


def _follow(trace: CallTrace | None, attempt: int, attempts: int) -> None:
    if trace is not None:
        trace.attempt, trace.attempts = attempt, attempts


def _attempt_timeout(timeout: float | None) -> float | None:
    """The timeout of the next attempt: its own, or the time left of a deadline if it has none.

    Raises:
        CallTimeout: the deadline has passed. The callee is not called.
    """
    deadline = current_deadline()
    if deadline is None:
        return timeout
    left = deadline.remaining()
    if left <= 0:
        raise CallTimeout(deadline.budget)
    return left if timeout is None else timeout
