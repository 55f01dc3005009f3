"""Makes a call resilient, in this order: cache ▸ single flight ▸ deadline ▸ rate limit ▸ bulkhead ▸
retry ▸ breaker ▸ timeout ▸ hedge ▸ call, and where that fails: stale answer ▸ fallback."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import random
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, NoReturn, ParamSpec, TypeVar, cast

from breakers.calls.attempts import Attempts
from breakers.calls.backends import STALE, Backends, Metrics, known_failure
from breakers.calls.cache import MISS, Cache
from breakers.calls.options import CallOptions
from breakers.calls.policy_options import with_policy
from breakers.calls.single_flight import SingleFlight
from breakers.circuit.decorators import is_kind
from breakers.clock import SYSTEM_CLOCK
from breakers.deadline import bounded
from breakers.errors import BulkheadFull

P = ParamSpec("P")
R = TypeVar("R")
logger = logging.getLogger("breakers")
_now = SYSTEM_CLOCK.monotonic


class ResilientCaller:
    """Makes calls as their `CallOptions` say.

    Args:
        cache: anything with `get(key)` and `set(key, value, ttl=…)`, also with coroutines in
            `acall`. One that fails is a miss, never the call's failure.
        metrics: anything with `increment(name)` and `histogram(name, value)`. It is told
            cache.hit, cache.miss, cache.stale, call.duration (seconds), call.success and
            call.failure.
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
        self._backends = Backends(cache, metrics)
        self._attempts = Attempts(sleep, asleep, random)
        self._single_flight = SingleFlight()

    @property
    def cache(self) -> Cache | None:
        """Where answers are kept."""
        return self._backends.cache

    @cache.setter
    def cache(self, cache: Cache | None) -> None:
        self._backends.cache = cache

    @property
    def metrics(self) -> Metrics | None:
        """Who is told of each call."""
        return self._backends.metrics

    @metrics.setter
    def metrics(self, metrics: Metrics | None) -> None:
        self._backends.metrics = metrics

    def call(
        self, func: Callable[P, R], options: CallOptions, /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call `func` with the arguments, as `options` say.

        Raises:
            CircuitBreakerOpen: the breaker refused and there is no fallback.
            CallTimeout: the last attempt, or the deadline, ran out of time.
            BulkheadFull, RateLimited: there was no room, or no turn, in time.
            TypeError: the options ask for hedging, which only coroutines can have.
            Exception: what `func` raised at the last attempt.
        """
        if options.hedge_delay is not None:
            raise TypeError("hedge_delay needs acall: a thread cannot be called off")
        breaker = options.circuit_breaker
        if breaker is not None and breaker._remote:
            options = with_policy(options, breaker)
        key, backends = None, self._backends
        if backends.cache is not None and options.cache_key is not None:
            key = options.key_for(args, kwargs)
            kept = self._counted(options, backends.get(key))
            if failure := known_failure(options, kept):
                return cast(R, self._stand_in(None, options, failure, args, kwargs))
            if kept is not MISS:
                return cast(R, kept)
        start = _now() if backends.metrics is not None else 0.0
        try:
            if key is None:
                result = self._call_guarded(func, options, args, kwargs)
            else:
                result = self._call_cached(key, func, options, args, kwargs)
        except Exception as error:
            backends.record_call("failure", start)
            return cast(R, self._stand_in(key, options, error, args, kwargs))
        if backends.metrics is not None:
            backends.record_call("success", start)
        return cast(R, result)

    async def acall(
        self,
        func: Callable[P, Awaitable[R]],
        options: CallOptions,
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """`call` for a coroutine function; cache and fallbacks may be coroutines too."""
        breaker = options.circuit_breaker
        if breaker is not None and breaker._remote:
            options = with_policy(options, breaker)
        key, backends = None, self._backends
        if backends.cache is not None and options.cache_key is not None:
            key = options.key_for(args, kwargs)
            kept = self._counted(options, await backends.aget(key))
            if failure := known_failure(options, kept):
                return cast(R, await self._astand_in(None, options, failure, args, kwargs))
            if kept is not MISS:
                return cast(R, kept)
        start = _now() if backends.metrics is not None else 0.0
        try:
            if key is not None:
                result = await self._acall_cached(key, func, options, args, kwargs)
            elif options.is_guarded:
                result = await self._acall_guarded(func, options, args, kwargs)
            else:
                result = await self._attempts.arun(func, options, args, kwargs)
        except Exception as error:
            backends.record_call("failure", start)
            return cast(R, await self._astand_in(key, options, error, args, kwargs))
        if backends.metrics is not None:
            backends.record_call("success", start)
        return cast(R, result)

    # -- Cache -----------------------------------------------------------------------------------

    def _counted(self, options: CallOptions, kept: Any) -> Any:
        self._backends.count_lookup("miss" if kept is MISS else "hit", options)
        return kept

    def _call_cached(
        self, key: str, func: Callable[..., Any], options: CallOptions, args: Any, kwargs: Any
    ) -> Any:
        """Make the call, once for all who ask meanwhile, and keep its answer."""

        def make() -> Any:
            try:
                result = self._call_guarded(func, options, args, kwargs)
            except Exception as error:
                self._backends.store_failure(key, options, error)
                raise
            self._backends.store(key, options, result)
            return result

        return self._single_flight.run(key, make) if options.single_flight else make()

    async def _acall_cached(
        self, key: str, func: Callable[..., Any], options: CallOptions, args: Any, kwargs: Any
    ) -> Any:
        async def make() -> Any:
            try:
                result = await self._acall_guarded(func, options, args, kwargs)
            except Exception as error:
                await self._backends.astore_failure(key, options, error)
                raise
            await self._backends.astore(key, options, result)
            return result

        return await (self._single_flight.arun(key, make) if options.single_flight else make())

    # -- Deadline, rate limit, bulkhead ----------------------------------------------------------

    def _call_guarded(
        self, func: Callable[..., Any], options: CallOptions, args: Any, kwargs: Any
    ) -> Any:
        if not options.is_guarded:
            return self._attempts.run(func, options, args, kwargs)
        with bounded(options.deadline), _CountRejections(options):
            if options.rate_limiter is not None:
                options.rate_limiter.acquire()
            if options.bulkhead is None:
                return self._attempts.run(func, options, args, kwargs)
            with options.bulkhead:
                return self._attempts.run(func, options, args, kwargs)

    async def _acall_guarded(
        self, func: Callable[..., Any], options: CallOptions, args: Any, kwargs: Any
    ) -> Any:
        if not options.is_guarded:
            return await self._attempts.arun(func, options, args, kwargs)
        with bounded(options.deadline), _CountRejections(options):
            if options.rate_limiter is not None:
                await options.rate_limiter.aacquire()
            if options.bulkhead is None:
                return await self._attempts.arun(func, options, args, kwargs)
            async with options.bulkhead:
                return await self._attempts.arun(func, options, args, kwargs)

    # -- What is answered instead ----------------------------------------------------------------

    def _stand_in(
        self, key: str | None, options: CallOptions, error: Exception, args: Any, kwargs: Any
    ) -> Any:
        if key is not None and options.takes_stale_for(error):
            kept = self._backends.get(key + STALE)
            if kept is not MISS:
                self._count_fallback(options, error, "a stale answer")
                self._backends.count_lookup("stale", options)
                return kept
        if not options.fallbacks:
            _raise(options, error)
        self._count_fallback(options, error, "a fallback")
        for fallback in options.fallbacks[:-1]:
            try:
                return fallback(*args, **kwargs)
            except Exception as worse:
                logger.warning("a fallback failed, trying the next: %s", worse)
        return options.fallbacks[-1](*args, **kwargs)

    async def _astand_in(
        self, key: str | None, options: CallOptions, error: Exception, args: Any, kwargs: Any
    ) -> Any:
        if key is not None and options.takes_stale_for(error):
            kept = await self._backends.aget(key + STALE)
            if kept is not MISS:
                self._count_fallback(options, error, "a stale answer")
                self._backends.count_lookup("stale", options)
                return kept
        if not options.fallbacks:
            _raise(options, error)
        self._count_fallback(options, error, "a fallback")
        for fallback in options.fallbacks[:-1]:
            try:
                result = fallback(*args, **kwargs)
                return await result if inspect.isawaitable(result) else result
            except Exception as worse:
                logger.warning("a fallback failed, trying the next: %s", worse)
        result = options.fallbacks[-1](*args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    @staticmethod
    def _count_fallback(options: CallOptions, error: Exception, what: str) -> None:
        if options.circuit_breaker is not None:
            options.circuit_breaker.count("fallback")
        logger.debug("call failed, answering with %s: %s", what, error)


def resilient(
    options: CallOptions, caller: ResilientCaller | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function or a coroutine function: each call is made as `options` say.

    A fixed `cache_key` is one answer for all arguments; give a function of them where they matter.

    Raises:
        TypeError: a generator function, which cannot be asked again once items have been seen.

    >>> @resilient(CallOptions(timeout=1.0, retries=1, fallback=lambda text: 0))
    ... def number(text: str) -> int:
    ...     return int(text)
    >>> number("42"), number("none")
    (42, 0)
    """
    by = caller or ResilientCaller()

    def decorate(func: Callable[P, R]) -> Callable[P, R]:
        wrapped: Any
        for kind in (inspect.isgeneratorfunction, inspect.isasyncgenfunction):
            if is_kind(kind, func):
                raise TypeError(f"{func!r} is a generator function; decorate it with a breaker")
        if is_kind(inspect.iscoroutinefunction, func):

            async def awaiting(*args: Any, **kwargs: Any) -> Any:
                return await by.acall(cast(Any, func), options, *args, **kwargs)

            wrapped = awaiting
        else:

            def calling(*args: Any, **kwargs: Any) -> Any:
                return by.call(func, options, *args, **kwargs)

            wrapped = calling
        return cast(Callable[P, R], functools.wraps(func)(wrapped))

    return decorate


def _raise(options: CallOptions, error: Exception) -> NoReturn:
    """Raise the error that a call ends with, or the one that the options put in its place."""
    mapped = None if options.instead is None else options.instead(error)
    if mapped is not None:
        raise mapped from error
    raise error


class _CountRejections:
    """Counts at the breaker the calls for which there was no room."""

    __slots__ = ("_options",)

    def __init__(self, options: CallOptions) -> None:
        self._options = options

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, BulkheadFull) and self._options.circuit_breaker is not None:
            self._options.circuit_breaker.count("bulkhead_full")
