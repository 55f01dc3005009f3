"""Makes a call resilient: cache ▸ retry ▸ breaker ▸ timeout ▸ call ▸ fallback, in this order."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import time
from collections.abc import Awaitable, Callable
from contextvars import Token
from types import TracebackType
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from breakers.caching import MISS, Cache, pack, unpack
from breakers.clock import SYSTEM_CLOCK
from breakers.deadline import Deadline, _current, current_deadline
from breakers.errors import BulkheadFull, CallTimeout, CircuitBreakerOpen
from breakers.options import CallOptions
from breakers.retries import full_jitter, retry_after
from breakers.timeouts import acall_within, call_within

P = ParamSpec("P")
R = TypeVar("R")
logger = logging.getLogger("breakers")

LONGEST_PAUSE_S: Final = 60.0
_COMPLAIN_EVERY_S: Final = 60.0


class Metrics(Protocol):
    """What `ResilientCaller` asks of a metrics backend."""

    def increment(self, name: str) -> Any: ...

    def histogram(self, name: str, value: float) -> Any: ...


class ResilientCaller:
    """Makes calls as their `CallOptions` say.

    Args:
        cache: anything with `get(key)` and `set(key, value, ttl=…)`, also with coroutines in
            `acall`. One that fails is a miss, never the call's failure.
        metrics: anything with `increment(name)` and `histogram(name, value)`. It is told
            cache.hit, cache.miss, call.duration (seconds), call.success and call.failure.
        sleep, asleep, random: for tests: how to wait between attempts, and what jitters it.

    >>> caller = ResilientCaller()
    >>> caller.call(lambda n: 2 * n, CallOptions(timeout=1.0), 21)
    42
    >>> caller.call(int, CallOptions(timeout=1.0, retries=1, fallback=lambda text: 0), "no number")
    0
    """

    def __init__(
        self,
        cache: Cache | None = None,
        metrics: Metrics | None = None,
        *,
        sleep: Callable[[float], object] = time.sleep,
        asleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        random: Callable[[], float] = random.random,
    ) -> None:
        self.cache = cache
        self.metrics = metrics
        self._sleep, self._asleep, self._random = sleep, asleep, random

    def call(
        self, func: Callable[P, R], options: CallOptions, /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call `func` with the arguments, as `options` say.

        Raises:
            CircuitBreakerOpen: the breaker refused and there is no fallback.
            CallTimeout: the last attempt, or the deadline, ran out of time.
            Exception: what `func` raised at the last attempt.
        """
        key = options.cache_key if self.cache is not None else None
        if key is not None and (kept := self._seen(options, self._ask_cache(key))) is not MISS:
            return kept  # type: ignore[no-any-return]
        start = SYSTEM_CLOCK.monotonic() if self.metrics is not None else 0.0
        try:
            if options.deadline is None:
                result = self._attempts(func, options, args, kwargs)
            else:
                with _Total(options.deadline):
                    result = self._attempts(func, options, args, kwargs)
        except Exception as error:
            self._tell_failure(start)
            return self._fall_back(options, error, args, kwargs)  # type: ignore[no-any-return]
        self._tell_success(start)
        if key is not None and self.cache is not None:
            with _harmless("cache"):
                self.cache.set(key, pack(result), ttl=options.cache_ttl)
        return result  # type: ignore[no-any-return]

    async def acall(
        self,
        func: Callable[P, Awaitable[R]],
        options: CallOptions,
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """`call` for a coroutine function; cache and fallbacks may be coroutines too."""
        key = options.cache_key if self.cache is not None else None
        if key is not None:
            kept = self._seen(options, await self._aask_cache(key))
            if kept is not MISS:
                return kept  # type: ignore[no-any-return]
        start = SYSTEM_CLOCK.monotonic() if self.metrics is not None else 0.0
        try:
            if options.deadline is None:
                result = await self._aattempts(func, options, args, kwargs)
            else:
                with _Total(options.deadline):
                    result = await self._aattempts(func, options, args, kwargs)
        except Exception as error:
            self._tell_failure(start)
            fell = self._fall_back(options, error, args, kwargs, is_async=True)
            return await fell  # type: ignore[no-any-return]
        self._tell_success(start)
        if key is not None and self.cache is not None:
            with _harmless("cache"):
                stored = self.cache.set(key, pack(result), ttl=options.cache_ttl)
                if inspect.isawaitable(stored):
                    await stored
        return result  # type: ignore[no-any-return]

    # -- Attempts --------------------------------------------------------------------------------

    def _attempts(
        self, func: Callable[..., Any], options: CallOptions, args: Any, kwargs: Any
    ) -> Any:
        declared, attempts, delay = options.in_force()
        breaker = options.circuit_breaker
        if breaker is not None:
            breaker.retry_budget.deposit()
        for attempt in range(1, attempts + 1):
            timeout = _bound(declared)
            try:
                if timeout is None:
                    if breaker is None:
                        return func(*args, **kwargs)
                    return breaker.call(func, *args, **kwargs)
                if breaker is None:
                    return call_within(timeout, options.strategy, func, *args, **kwargs)
                return breaker.call(call_within, timeout, options.strategy, func, *args, **kwargs)
            except Exception as error:
                pause = self._pause(options, error, attempt, attempts, delay)
                if pause is None:
                    raise
            self._sleep(pause)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _aattempts(
        self, func: Callable[..., Awaitable[Any]], options: CallOptions, args: Any, kwargs: Any
    ) -> Any:
        declared, attempts, delay = options.in_force()
        breaker = options.circuit_breaker
        if breaker is not None:
            breaker.retry_budget.deposit()
        for attempt in range(1, attempts + 1):
            timeout = _bound(declared)
            try:
                if timeout is None:
                    if breaker is None:
                        return await func(*args, **kwargs)
                    return await breaker.acall(func, *args, **kwargs)
                if breaker is None:
                    return await acall_within(timeout, func, *args, **kwargs)
                return await breaker.acall(acall_within, timeout, func, *args, **kwargs)
            except Exception as error:
                pause = self._pause(options, error, attempt, attempts, delay)
                if pause is None:
                    raise
            await self._asleep(pause)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _pause(
        self, options: CallOptions, error: Exception, attempt: int, attempts: int, delay: float
    ) -> float | None:
        """Seconds to wait before the next attempt; None where there must be none."""
        if attempt >= attempts or not isinstance(error, options.retry_on):
            return None
        if isinstance(error, CircuitBreakerOpen | BulkheadFull):
            return None
        asked = retry_after(error)
        pause = full_jitter(attempt, delay, uniform=self._random) if asked is None else asked
        if pause > LONGEST_PAUSE_S:
            # Who asks for so much time does not want to be asked again by this call.
            return None
        deadline = current_deadline()
        if deadline is not None and pause >= deadline.remaining():
            return None
        breaker = options.circuit_breaker
        if breaker is not None:
            if not breaker.retry_budget.withdraw():
                return None
            breaker.count("retry")
        return pause

    # -- Fallback --------------------------------------------------------------------------------

    def _fall_back(
        self,
        options: CallOptions,
        error: Exception,
        args: Any,
        kwargs: Any,
        is_async: bool = False,
    ) -> Any:
        fallbacks = options.fallbacks
        if not fallbacks:
            raise error
        if options.circuit_breaker is not None:
            options.circuit_breaker.count("fallback")
        logger.debug("call failed, falling back: %s", error)
        if is_async:
            return _afirst_that_answers(fallbacks, args, kwargs)
        for fallback in fallbacks[:-1]:
            try:
                return fallback(*args, **kwargs)
            except Exception as worse:
                logger.warning("a fallback failed, trying the next: %s", worse)
        return fallbacks[-1](*args, **kwargs)

    # -- Cache and metrics: theirs to fail, not the call's ---------------------------------------

    def _ask_cache(self, key: str) -> Any:
        with _harmless("cache"):
            return unpack(self.cache.get(key)) if self.cache is not None else MISS
        return MISS

    async def _aask_cache(self, key: str) -> Any:
        with _harmless("cache"):
            stored = self.cache.get(key) if self.cache is not None else None
            return unpack(await stored if inspect.isawaitable(stored) else stored)
        return MISS

    def _seen(self, options: CallOptions, kept: Any) -> Any:
        event = "miss" if kept is MISS else "hit"
        if self.metrics is not None:
            with _harmless("metrics"):
                self.metrics.increment(f"cache.{event}")
        if options.circuit_breaker is not None:
            options.circuit_breaker.count(f"cache_{event}")
        return kept

    def _tell_success(self, start: float) -> None:
        if self.metrics is not None:
            with _harmless("metrics"):
                self.metrics.histogram("call.duration", SYSTEM_CLOCK.monotonic() - start)
                self.metrics.increment("call.success")

    def _tell_failure(self, start: float) -> None:
        if self.metrics is not None:
            with _harmless("metrics"):
                self.metrics.histogram("call.duration", SYSTEM_CLOCK.monotonic() - start)
                self.metrics.increment("call.failure")


async def _afirst_that_answers(fallbacks: Any, args: Any, kwargs: Any) -> Any:
    for fallback in fallbacks[:-1]:
        try:
            result = fallback(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result
        except Exception as worse:
            logger.warning("a fallback failed, trying the next: %s", worse)
    result = fallbacks[-1](*args, **kwargs)
    return await result if inspect.isawaitable(result) else result


def _bound(timeout: float | None) -> float | None:
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


class _Total:
    """The deadline of a whole call; it is checked between attempts and bounds each one."""

    __slots__ = ("_seconds", "_token")
    _token: Token[Deadline | None]

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._token = _current.set(Deadline.after(self._seconds))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _current.reset(self._token)


_complained: dict[str, float] = {}


class _harmless:  # noqa: N801 - reads as a word
    """Swallow the error of a cache or metrics backend, and say so in the log once a minute."""

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if isinstance(error, Exception):
            now = SYSTEM_CLOCK.monotonic()
            if now - _complained.get(self._what, -_COMPLAIN_EVERY_S) >= _COMPLAIN_EVERY_S:
                _complained[self._what] = now
                logger.warning("the %s backend fails; calls go on: %r", self._what, error)
            return True
        return False
