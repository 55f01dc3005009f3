"""Makes calls, in this order: cache ▸ single flight ▸ deadline ▸ rate limit ▸ bulkhead ▸ retry ▸
breaker ▸ timeout ▸ hedge ▸ call. If the call fails: stale result ▸ fallback."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar, cast

from breakers.calls.attempts import Attempts, ReturnedCoroutine
from breakers.calls.backends import Backends, Metrics, known_failure
from breakers.calls.cache import MISS, Cache
from breakers.calls.guards import Guards
from breakers.calls.observing import call_record
from breakers.calls.options import CallOptions
from breakers.calls.policy_options import with_policy
from breakers.calls.records import CallTrace
from breakers.calls.single_flight import SingleFlight
from breakers.calls.stand_ins import NONE, StandIns
from breakers.calls.switches import switches
from breakers.circuit.decorators import anotify, notify
from breakers.clock import SYSTEM_CLOCK
from breakers.common import async_library
from breakers.common.rules import aapply, apply, is_async
from breakers.deadline import bounded

P = ParamSpec("P")
R = TypeVar("R")
_now = SYSTEM_CLOCK.monotonic


class ResilientCaller:
    """Makes calls as their `CallOptions` say.

    Args:
        cache: an object with `get(key)` and `set(key, value, ttl=…)`, which may be coroutine
            functions for `acall`. Errors of the cache are cache misses.
        metrics: an object with `increment(name)` and `histogram(name, value)`. The names are
            cache.hit, cache.miss, cache.stale, call.duration (seconds), call.success and
            call.failure.
        sleep, asleep, random: for tests: functions for the pause between attempts and its jitter.

    Raises:
        TypeError: `sleep` or a method of `metrics` is a coroutine function.

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
        asleep: Callable[[float], Awaitable[object]] = async_library.sleep,
        random: Callable[[], float] = random.random,
    ) -> None:
        if is_async(sleep):
            raise TypeError("sleep is a coroutine function: pass it as asleep, for acall")
        self._backends = Backends(cache, metrics)
        self._attempts = Attempts(sleep, asleep, random)
        self._single_flight = SingleFlight()
        self._stand_ins = StandIns(self._backends)

    @property
    def cache(self) -> Cache | None:
        """The cache of results."""
        return self._backends.cache

    @cache.setter
    def cache(self, cache: Cache | None) -> None:
        self._backends.cache = cache

    @property
    def metrics(self) -> Metrics | None:
        """The metrics backend."""
        return self._backends.metrics

    @metrics.setter
    def metrics(self, metrics: Metrics | None) -> None:
        self._backends.metrics = metrics

    def call(
        self, func: Callable[P, R], options: CallOptions, /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call `func` with the arguments, as `options` say.

        If `func` returns a coroutine, the call is made when what this returns is awaited.

        Raises:
            CircuitBreakerOpen: the breaker refused and there is no fallback.
            CallTimeout: the last attempt, or the deadline, timed out.
            BulkheadFull, RateLimited: there was no capacity in time.
            TypeError: the options need `acall`: for hedging, or for rules that are coroutine
                functions.
            Exception: what `func` raised at the last attempt.
        """
        if options.refuses_sync is not None:
            raise TypeError(options.refuses_sync)
        if switches.is_off:
            return func(*args, **kwargs)
        breaker = options.circuit_breaker
        if breaker is not None and breaker._remote:
            options = with_policy(options, breaker)
        key, backends = None, self._backends
        trace = CallTrace(_now()) if options.on_call is not None else None
        if options.cache_key is not None:
            key = apply(_key_for, options, args, kwargs)
            if backends.cache is not None:
                kept = backends.get(key)
                backends.count_lookup("miss" if kept is MISS else "hit", options)
                if kept is not MISS:
                    return cast(R, self._from_cache(kept, func, options, args, kwargs, trace))
        start = _now() if backends.metrics is not None else 0.0
        try:
            if key is not None:
                result = self._call_shared(key, func, options, args, kwargs, trace)
            elif options.is_guarded:
                result = self._call_guarded(func, options, args, kwargs, trace)
            else:
                result = self._attempts.run(func, options, args, kwargs, trace)
            if options.result_fallbacks:
                result = self._stand_ins.for_result(options, result, args, kwargs, trace)
        except ReturnedCoroutine:
            return cast(R, self.acall(cast(Any, func), options, *args, **kwargs))
        except Exception as error:
            backends.record_call("failure", start)
            try:
                result = self._stand_ins.for_error(key, options, error, args, kwargs, trace)
                if result is NONE:
                    self._stand_ins.raise_mapped(options, error)
                    raise
            except BaseException as final:
                if trace is not None:
                    self._observe(options, trace, func, args, kwargs, final, None)
                raise
        else:
            if backends.metrics is not None:
                backends.record_call("success", start)
        if trace is not None:
            self._observe(options, trace, func, args, kwargs, None, result)
        return cast(R, result)

    async def acall(
        self,
        func: Callable[P, Awaitable[R]],
        options: CallOptions,
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """`call` for a coroutine function. The cache, fallbacks, rules and hooks may be async too.

        Raises:
            TypeError: `func` is a plain function. It may have been run once; it is not retried.
        """
        if switches.is_off:
            return await func(*args, **kwargs)
        breaker = options.circuit_breaker
        if breaker is not None and breaker._remote:
            options = with_policy(options, breaker)
        key, backends = None, self._backends
        trace = CallTrace(_now()) if options.on_call is not None else None
        if options.cache_key is not None:
            key = str(await aapply(options.key_for, args, kwargs))
            if backends.cache is not None:
                kept = await backends.aget(key)
                backends.count_lookup("miss" if kept is MISS else "hit", options)
                if kept is not MISS:
                    answer = self._afrom_cache(kept, func, options, args, kwargs, trace)
                    return cast(R, await answer)
        start = _now() if backends.metrics is not None else 0.0
        try:
            if key is not None:
                result = await self._acall_shared(key, func, options, args, kwargs, trace)
            elif options.is_guarded:
                result = await self._acall_guarded(func, options, args, kwargs, trace)
            else:
                result = await self._attempts.arun(func, options, args, kwargs, trace)
            if options.result_fallbacks:
                result = await self._stand_ins.afor_result(options, result, args, kwargs, trace)
        except Exception as error:
            backends.record_call("failure", start)
            try:
                result = await self._stand_ins.afor_error(key, options, error, args, kwargs, trace)
                if result is NONE:
                    self._stand_ins.raise_mapped(options, error)
                    raise
            except BaseException as final:
                if trace is not None:
                    await self._aobserve(options, trace, func, args, kwargs, final, None)
                raise
        else:
            if backends.metrics is not None:
                backends.record_call("success", start)
        if trace is not None:
            await self._aobserve(options, trace, func, args, kwargs, None, result)
        return cast(R, result)

    # -- Cache and single flight -----------------------------------------------------------------

    def _from_cache(
        self,
        kept: Any,
        func: Callable[..., Any],
        options: CallOptions,
        args: Any,
        kwargs: Any,
        trace: CallTrace | None,
    ) -> Any:
        """A cached result; for a cached failure the fallback's answer."""
        failure = known_failure(options, kept)
        if trace is not None:
            trace.outcome = "cached"
        if failure is not None:
            kept = self._stand_ins.for_error(None, options, failure, args, kwargs, trace)
        if kept is NONE and failure is not None:
            try:
                self._stand_ins.raise_mapped(options, failure)
                raise failure
            finally:
                # This frame is part of its traceback.
                del failure
        if trace is not None:
            self._observe(options, trace, func, args, kwargs, None, kept)
        return kept

    async def _afrom_cache(
        self,
        kept: Any,
        func: Callable[..., Any],
        options: CallOptions,
        args: Any,
        kwargs: Any,
        trace: CallTrace | None,
    ) -> Any:
        failure = known_failure(options, kept)
        if trace is not None:
            trace.outcome = "cached"
        if failure is not None:
            kept = await self._stand_ins.afor_error(None, options, failure, args, kwargs, trace)
        if kept is NONE and failure is not None:
            try:
                self._stand_ins.raise_mapped(options, failure)
                raise failure
            finally:
                del failure
        if trace is not None:
            await self._aobserve(options, trace, func, args, kwargs, None, kept)
        return kept

    def _call_shared(
        self,
        key: str,
        func: Callable[..., Any],
        options: CallOptions,
        args: Any,
        kwargs: Any,
        trace: CallTrace | None,
    ) -> Any:
        """Make the call, once for all concurrent callers, and cache its result."""

        def make() -> Any:
            try:
                result = self._call_guarded(func, options, args, kwargs, trace)
            except Exception as error:
                self._backends.store_failure(key, options, error)
                raise
            self._backends.store(key, options, result)
            return result

        if not options.single_flight:
            return make()
        with bounded(options.deadline):
            return self._single_flight.run(key, make)

    async def _acall_shared(
        self,
        key: str,
        func: Callable[..., Any],
        options: CallOptions,
        args: Any,
        kwargs: Any,
        trace: CallTrace | None,
    ) -> Any:
        async def make() -> Any:
            try:
                result = await self._acall_guarded(func, options, args, kwargs, trace)
            except Exception as error:
                await self._backends.astore_failure(key, options, error)
                raise
            await self._backends.astore(key, options, result)
            return result

        if not options.single_flight:
            return await make()
        with bounded(options.deadline):
            return await self._single_flight.arun(key, make)

    # -- Deadline, rate limit, bulkhead ----------------------------------------------------------

    def _call_guarded(
        self,
        func: Callable[..., Any],
        options: CallOptions,
        args: Any,
        kwargs: Any,
        trace: CallTrace | None,
    ) -> Any:
        if not options.is_guarded:
            return self._attempts.run(func, options, args, kwargs, trace)
        with bounded(options.deadline), Guards(options):
            return self._attempts.run(func, options, args, kwargs, trace)

    async def _acall_guarded(
        self,
        func: Callable[..., Any],
        options: CallOptions,
        args: Any,
        kwargs: Any,
        trace: CallTrace | None,
    ) -> Any:
        if not options.is_guarded:
            return await self._attempts.arun(func, options, args, kwargs, trace)
        with bounded(options.deadline):
            async with Guards(options):
                return await self._attempts.arun(func, options, args, kwargs, trace)

    # -- Hooks -----------------------------------------------------------------------------------

    @staticmethod
    def _observe(options: CallOptions, trace: CallTrace, *call: Any) -> None:
        if options.on_call is not None:
            notify(options.on_call, call_record(trace, *call))

    @staticmethod
    async def _aobserve(options: CallOptions, trace: CallTrace, *call: Any) -> None:
        if options.on_call is not None:
            await anotify(options.on_call, call_record(trace, *call))


def _key_for(options: CallOptions, args: Any, kwargs: Any) -> str:
    return str(options.key_for(args, kwargs))
