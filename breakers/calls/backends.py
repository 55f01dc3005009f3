"""The cache and the metrics of a caller. Their errors never fail a call."""

from __future__ import annotations

import inspect
import logging
from types import TracebackType
from typing import Any, Final, Protocol

from breakers.calls.cache import MISS, Cache, pack, unpack
from breakers.calls.options import CallOptions
from breakers.clock import SYSTEM_CLOCK
from breakers.common.exception_groups import is_all, leaves
from breakers.common.rules import is_async
from breakers.errors import CachedFailure

logger = logging.getLogger("breakers")
_LOG_EVERY_S: Final = 60.0
_FAILED: Final = "\x00breakers:failed:"
STALE: Final = ":stale"


class Metrics(Protocol):
    """The interface of a metrics backend for `ResilientCaller`.

    >>> from breakers import CallOptions, ResilientCaller
    >>> class Printed:
    ...     def increment(self, name: str) -> None:
    ...         print(name)
    ...     def histogram(self, name: str, value: float) -> None:
    ...         print(name, "in seconds")
    >>> ResilientCaller(metrics=Printed()).call(len, CallOptions(timeout=1.0), "four")
    call.duration in seconds
    call.success
    4
    """

    def increment(self, name: str) -> Any: ...

    def histogram(self, name: str, value: float) -> Any: ...


def stored_failure(options: CallOptions, error: Exception) -> str | None:
    """The form in which an error is cached, or None if such errors are not cached."""
    if not options.negative_on or not is_all(error, options.negative_on):
        return None
    first = next(leaves(error))
    for number, kind in enumerate(options.negative_on):
        for each in (error, first):
            if isinstance(each, kind):
                return f"{_FAILED}{number}:{each}"
    return None


def known_failure(options: CallOptions, stored: Any) -> Exception | None:
    """The error that a cached value stands for, of a type that the options name."""
    if not (isinstance(stored, str) and stored.startswith(_FAILED)):
        return None
    number, _, message = stored.removeprefix(_FAILED).partition(":")
    kinds = options.negative_on
    try:
        return kinds[int(number)](message)
    except Exception:
        # The type takes other arguments, or the options have changed since.
        return CachedFailure(message)


class Backends:
    """A caller's cache and metrics."""

    def __init__(self, cache: Cache | None, metrics: Metrics | None) -> None:
        for name in ("increment", "histogram"):
            # Of its type: the object itself may have to reach a server for an attribute.
            if is_async(getattr(type(metrics), name, None)):
                raise TypeError(f"metrics.{name} is a coroutine function, which is never awaited")
        self.cache = cache
        self.metrics = metrics

    def get(self, key: str) -> Any:
        """The cached value, or `MISS`."""
        with swallow_errors("cache"):
            stored = self.cache.get(key) if self.cache is not None else None
            if inspect.iscoroutine(stored):
                stored.close()
                raise TypeError("the cache answers with coroutines, which need acall")
            return unpack(stored)
        return MISS

    async def aget(self, key: str) -> Any:
        """`get` for caches that may be async."""
        with swallow_errors("cache"):
            stored = self.cache.get(key) if self.cache is not None else None
            return unpack(await stored if inspect.isawaitable(stored) else stored)
        return MISS

    def store(self, key: str, options: CallOptions, result: Any) -> None:
        """Cache a result, and for longer the one that may answer when it is stale."""
        if self.cache is None:
            return
        with swallow_errors("cache"):
            self.cache.set(key, pack(result), ttl=options.cache_ttl)
            if options.stale_ttl is not None:
                ttl = options.cache_ttl + options.stale_ttl
                self.cache.set(key + STALE, pack(result), ttl=ttl)

    async def astore(self, key: str, options: CallOptions, result: Any) -> None:
        """`store` for caches that may be async."""
        if self.cache is None:
            return
        with swallow_errors("cache"):
            await _done(self.cache.set(key, pack(result), ttl=options.cache_ttl))
            if options.stale_ttl is not None:
                ttl = options.cache_ttl + options.stale_ttl
                await _done(self.cache.set(key + STALE, pack(result), ttl=ttl))

    def store_failure(self, key: str, options: CallOptions, error: Exception) -> None:
        """Cache an error of `negative_on`."""
        stored = stored_failure(options, error)
        if stored is not None and self.cache is not None:
            with swallow_errors("cache"):
                self.cache.set(key, stored, ttl=options.negative_ttl)

    async def astore_failure(self, key: str, options: CallOptions, error: Exception) -> None:
        """`store_failure` for caches that may be async."""
        stored = stored_failure(options, error)
        if stored is not None and self.cache is not None:
            with swallow_errors("cache"):
                await _done(self.cache.set(key, stored, ttl=options.negative_ttl))

    def count_lookup(self, event: str, options: CallOptions) -> None:
        """Count a hit, a miss or a stale result."""
        if self.metrics is not None:
            with swallow_errors("metrics"):
                self.metrics.increment(f"cache.{event}")
        if options.circuit_breaker is not None and event != "stale":
            options.circuit_breaker.count(f"cache_{event}")

    def record_call(self, outcome: str, start: float) -> None:
        """Record a call and its duration."""
        if self.metrics is not None:
            with swallow_errors("metrics"):
                self.metrics.histogram("call.duration", SYSTEM_CLOCK.monotonic() - start)
                self.metrics.increment(f"call.{outcome}")


async def _done(stored: Any) -> None:
    if inspect.isawaitable(stored):
        await stored


_logged_at: dict[str, float] = {}


class swallow_errors:  # noqa: N801 - used like a function
    """Swallow errors of a cache or metrics backend. They are logged once a minute."""

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
            if now - _logged_at.get(self._what, -_LOG_EVERY_S) >= _LOG_EVERY_S:
                _logged_at[self._what] = now
                logger.warning("the %s backend fails; calls go on: %r", self._what, error)
            return True
        return False
