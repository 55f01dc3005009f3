"""Makes calls, in this order: cache ▸ single flight ▸ deadline ▸ rate limit ▸ bulkhead ▸ retry ▸
breaker ▸ timeout ▸ hedge ▸ call. If the call fails: stale result ▸ fallback."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import Any, ParamSpec, TypeVar, cast

from breakers.calls.attempts import Attempts, ReturnedCoroutine, async_attempt
from breakers.calls.backends import Backends, Metrics, known_failure
from breakers.calls.cache import MISS, Cache
from breakers.calls.observing import call_record
from breakers.calls.options import CallOptions
from breakers.calls.policy_options import with_policy
from breakers.calls.records import CallTrace
from breakers.calls.shared_calls import SharedCalls
from breakers.calls.stand_ins import NONE, StandIns
from breakers.calls.switches import switches
from breakers.circuit.awaited import GuardedCoroutine
from breakers.circuit.faults import Injected, injected
from breakers.clock import SYSTEM_CLOCK
from breakers.common import async_library
from breakers.common.listeners import anotify, notify
from breakers.common.rules import aapply, apply, is_async

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
        self._shared = SharedCalls(self._backends, self._attempts)
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
        breaker = options.circuit_breaker
        if breaker is not None and breaker._altered:
            options = with_policy(options, breaker)
            if breaker._fault is not None:
                func = Injected(func, breaker)
        attempt = options.direct
        if attempt is None or switches.is_off or self._backends.metrics is not None:
            return cast(R, self._call(func, options, args, kwargs))
        if options.budget is not None:
            options.budget.deposit()
        try:
            result = attempt(func, args, kwargs)
        except Exception as error:
            pause = self._attempts.pauses.pause(
                options, error, None, 1, options.retries, options.retry_delay
            )
            if pause is None:
                answer = self._stand_ins.for_error(None, options, error, args, kwargs, None)
                if answer is NONE:
                    self._stand_ins.raise_mapped(options, error)
                    raise
                return cast(R, answer)
        else:
            kind = type(result)
            if kind is CoroutineType or kind is GuardedCoroutine:
                result.close()
                return cast(R, self.acall(cast(Any, func), options, *args, **kwargs))
            return result  # type: ignore[no-any-return]
        return cast(R, self._call(func, options, args, kwargs, pause))

    def _call(
        self,
        func: Callable[..., Any],
        options: CallOptions,
        args: Any,
        kwargs: Any,
        pause: float | None = None,
    ) -> Any:
        """A call with whatever the options ask for. With a `pause`, its first attempt was made."""
        if options.refuses_sync is not None:
            raise TypeError(options.refuses_sync)
        if switches.is_off:
            return func(*args, **kwargs)
        key, backends = None, self._backends
        trace = CallTrace(_now()) if options.on_call is not None else None
        if options.cache_key is not None:
            key = apply(_key_for, options, args, kwargs)
            if backends.cache is not None:
                kept = backends.get(key)
                backends.count_lookup("miss" if kept is MISS else "hit", options)
                if kept is not MISS:
                    return self._from_cache(kept, func, options, args, kwargs, trace)
        start = _now() if backends.metrics is not None else 0.0
        try:
            if key is not None:
                result = self._shared.call(key, func, options, args, kwargs, trace)
            elif options.is_guarded:
                result = self._shared.guarded(func, options, args, kwargs, trace)
            else:
                result = self._attempts.run(func, options, args, kwargs, trace, pause)
            if options.result_fallbacks:
                result = self._stand_ins.for_result(options, result, args, kwargs, trace)
        except ReturnedCoroutine:
            return self.acall(func, options, *args, **kwargs)
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
        return result

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
        breaker = options.circuit_breaker
        if breaker is not None and breaker._altered:
            options = with_policy(options, breaker)
            if breaker._fault is not None:
                func = injected(func, breaker)
        if not options.is_direct or switches.is_off or self._backends.metrics is not None:
            return cast(R, await self._acall(func, options, args, kwargs))
        if options.budget is not None:
            options.budget.deposit()
        try:
            return await async_attempt(options, func, args, kwargs)  # type: ignore[no-any-return]
        except Exception as error:
            pause = await self._attempts.apause(
                options, error, None, 1, options.retries, options.retry_delay
            )
            if pause is None:
                answer = await self._stand_ins.afor_error(None, options, error, args, kwargs, None)
                if answer is NONE:
                    self._stand_ins.raise_mapped(options, error)
                    raise
                return cast(R, answer)
        return cast(R, await self._acall(func, options, args, kwargs, pause))

    async def _acall(
        self,
        func: Callable[..., Awaitable[Any]],
        options: CallOptions,
        args: Any,
        kwargs: Any,
        pause: float | None = None,
    ) -> Any:
        if switches.is_off:
            return await func(*args, **kwargs)
        key, backends = None, self._backends
        trace = CallTrace(_now()) if options.on_call is not None else None
        if options.cache_key is not None:
            key = str(await aapply(options.key_for, args, kwargs))
            if backends.cache is not None:
                kept = await backends.aget(key)
                backends.count_lookup("miss" if kept is MISS else "hit", options)
                if kept is not MISS:
                    return await self._afrom_cache(kept, func, options, args, kwargs, trace)
        start = _now() if backends.metrics is not None else 0.0
        try:
            if key is not None:
                result = await self._shared.acall(key, func, options, args, kwargs, trace)
            elif options.is_guarded:
                result = await self._shared.aguarded(func, options, args, kwargs, trace)
            else:
                result = await self._attempts.arun(func, options, args, kwargs, trace, pause)
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
        return result

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
