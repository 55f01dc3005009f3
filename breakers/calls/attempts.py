"""The attempts of one call: retry ▸ breaker ▸ timeout ▸ hedge ▸ call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import Any

from breakers.calls.coroutine_timeouts import TaskLimit, acall_within
from breakers.calls.hedging import hedged
from breakers.calls.observing import aobserve, observe
from breakers.calls.options import CallOptions
from breakers.calls.pauses import Pauses
from breakers.calls.plans import time_left
from breakers.calls.records import CallTrace
from breakers.calls.switches import switches
from breakers.circuit.awaited import GuardedCoroutine
from breakers.clock import SYSTEM_CLOCK
from breakers.common.async_library import need_asyncio
from breakers.common.awaiting import awaitable, mark_misuse
from breakers.common.rules import aapply, apply
from breakers.deadline import _current

_now = SYSTEM_CLOCK.monotonic
_enclosing = _current.get


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
        pause: float | None = None,
    ) -> Any:
        """The first result that needs no retry, or the result or error of the last attempt. With a
        `pause`, the first attempt has been made: the others follow after it.

        Raises:
            ReturnedCoroutine: the function returned a coroutine, which has not been started.
        """
        # An operator's policy has been laid over the options already.
        attempts, delay, make = options.retries, options.retry_delay, options.attempt
        attempt = 0
        if pause is not None:
            attempt = 1
            self._wait(pause)
        elif options.budget is not None:
            options.budget.deposit()
        started = _now() if options.reads_clock else 0.0
        while True:
            attempt += 1
            result: Any = None
            if attempt > 1 and options.circuit_breaker is not None:
                options.circuit_breaker._note_attempt(attempt)
            try:
                result = make(func, args, kwargs)
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
            self._wait(pause)

    def _wait(self, pause: float) -> None:
        if not switches.no_sleep:
            self._sleep(pause)

    async def arun(
        self,
        func: Callable[..., Awaitable[Any]],
        options: CallOptions,
        args: Any,
        kwargs: Any,
        trace: CallTrace | None = None,
        pause: float | None = None,
    ) -> Any:
        """`run` for a coroutine function."""
        # An operator's policy has been laid over the options already.
        attempts, delay = options.retries, options.retry_delay
        called, called_args = func, args
        if options.hedge_delay is not None:
            need_asyncio("hedge_delay")
            called_args = (options.hedge_delay, options.hedge_attempts, func, *args)
            called = hedged
        attempt = 0
        if pause is not None:
            attempt = 1
            await self._await(pause)
        elif options.budget is not None:
            options.budget.deposit()
        started = _now() if options.reads_clock else 0.0
        while True:
            attempt += 1
            result: Any = None
            if attempt > 1 and options.circuit_breaker is not None:
                options.circuit_breaker._note_attempt(attempt)
            try:
                if options.awaits_breaker:
                    result = await _through_async_rules(options, called, called_args, kwargs)
                else:
                    result = await async_attempt(options, called, called_args, kwargs)
            except Exception as error:
                if options.is_observed:
                    await aobserve(
                        options, func, args, kwargs, (attempt, attempts), error, None, started
                    )
                    _follow(trace, attempt, attempts)
                pause = await self.apause(options, error, None, attempt, attempts, delay, started)
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
                pause = await self.apause(options, None, result, attempt, attempts, delay, started)
                if pause is None:
                    return result
            await self._await(pause)

    async def _await(self, pause: float) -> None:
        if not switches.no_sleep:
            await self._asleep(pause)

    async def apause(self, options: CallOptions, *state: Any) -> float | None:
        if options.has_async_rules:
            return await self.pauses.apause(options, *state)
        return self.pauses.pause(options, *state)


async def async_attempt(
    options: CallOptions, func: Callable[..., Awaitable[Any]], args: Any, kwargs: Any
) -> Any:
    """One attempt of an async call: breaker ▸ timeout ▸ call."""
    limit, breaker = options.task_limit, options.circuit_breaker
    if _enclosing() is not None:
        left = time_left(options.timeout)
        limit = None if left is None else TaskLimit(left)
    begun = None if breaker is None else breaker._begin()
    try:
        within = None if limit is None else limit.begin()
        try:
            result = await func(*args, **kwargs)
        except BaseException as error:
            mark_misuse(error)
            if within is not None:
                within.failed(error)
            raise
        if limit is not None:
            limit.returned(within)
    except BaseException as error:
        if breaker is not None and begun is not None:
            breaker._end(begun, error)
        raise
    if breaker is not None and begun is not None:
        breaker._end(begun, None, result)
    return result


async def _through_async_rules(
    options: CallOptions, func: Callable[..., Any], args: Any, kwargs: Any
) -> Any:
    """One attempt through a breaker whose rules must be awaited."""
    breaker, timeout = options.circuit_breaker, time_left(options.timeout)
    assert breaker is not None
    if timeout is None:
        return await breaker.acall(_awaited, func, *args, **kwargs)
    return await breaker.acall(acall_within, timeout, func, *args, **kwargs)


async def _awaited(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    return await awaitable(func(*args, **kwargs), func)


def _follow(trace: CallTrace | None, attempt: int, attempts: int) -> None:
    if trace is not None:
        trace.attempt, trace.attempts = attempt, attempts
