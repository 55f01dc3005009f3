"""The cache and the metrics of a caller: theirs to fail, not the call's."""

from __future__ import annotations

import inspect
import logging
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol

from breakers.calls.cache import MISS, Cache, pack, unpack
from breakers.clock import SYSTEM_CLOCK
from breakers.errors import CachedFailure

if TYPE_CHECKING:
    from breakers.calls.options import CallOptions

logger = logging.getLogger("breakers")
_COMPLAIN_EVERY_S: Final = 60.0
_FAILED: Final = "\x00breakers:failed:"
STALE: Final = ":stale"


class Metrics(Protocol):
    """What `ResilientCaller` asks of a metrics backend.

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
    """What stands for an error in any cache, or None where such errors are not kept."""
    for number, kind in enumerate(options.negative_on):
        if isinstance(error, kind):
            return f"{_FAILED}{number}:{error}"
    return None


def known_failure(options: CallOptions, stored: Any) -> Exception | None:
    """The error that a cached value stands for; only of a type that the options name."""
    if not (isinstance(stored, str) and stored.startswith(_FAILED)):
        return None
    number, _, message = stored.removeprefix(_FAILED).partition(":")
    kinds = options.negative_on
    try:
        return kinds[int(number)](message)
    except Exception:
        # Its type takes other arguments, or the options have changed since.
        return CachedFailure(message)


class Backends:
    """A caller's cache and metrics."""

    def __init__(self, cache: Cache | None, metrics: Metrics | None) -> None:
        self.cache = cache
        self.metrics = metrics

    def get(self, key: str) -> Any:
        """The value kept for `key`, or `MISS`."""
        with swallow_errors("cache"):
            stored = self.cache.get(key) if self.cache is not None else None
            if inspect.iscoroutine(stored):
                stored.close()
                raise TypeError("the cache answers with coroutines, which need acall")
            return unpack(stored)
        return MISS

    async def aget(self, key: str) -> Any:
        """`get`, where the cache's may be a coroutine."""
        with swallow_errors("cache"):
            stored = self.cache.get(key) if self.cache is not None else None
            return unpack(await stored if inspect.isawaitable(stored) else stored)
        return MISS

    def store(self, key: str, options: CallOptions, result: Any) -> None:
        """Store an answer, and for longer the one to fall back on."""
        assert self.cache is not None
        with swallow_errors("cache"):
            self.cache.set(key, pack(result), ttl=options.cache_ttl)
            if options.stale_ttl is not None:
                ttl = options.cache_ttl + options.stale_ttl
                self.cache.set(key + STALE, pack(result), ttl=ttl)

    async def astore(self, key: str, options: CallOptions, result: Any) -> None:
        """`keep`, where the cache's may be a coroutine."""
        assert self.cache is not None
        with swallow_errors("cache"):
            await _done(self.cache.set(key, pack(result), ttl=options.cache_ttl))
            if options.stale_ttl is not None:
                ttl = options.cache_ttl + options.stale_ttl
                await _done(self.cache.set(key + STALE, pack(result), ttl=ttl))

    def store_failure(self, key: str, options: CallOptions, error: Exception) -> None:
        """Store an error that the options call an answer."""
        stored = stored_failure(options, error)
        if stored is not None and self.cache is not None:
            with swallow_errors("cache"):
                self.cache.set(key, stored, ttl=options.negative_ttl)

    async def astore_failure(self, key: str, options: CallOptions, error: Exception) -> None:
        """`keep_failure`, where the cache's may be a coroutine."""
        stored = stored_failure(options, error)
        if stored is not None and self.cache is not None:
            with swallow_errors("cache"):
                await _done(self.cache.set(key, stored, ttl=options.negative_ttl))

    def count_lookup(self, event: str, options: CallOptions) -> None:
        """Count what the cache said: hit, miss or stale."""
        if self.metrics is not None:
            with swallow_errors("metrics"):
                self.metrics.increment(f"cache.{event}")
        if options.circuit_breaker is not None and event != "stale":
            options.circuit_breaker.count(f"cache_{event}")

    def record_call(self, outcome: str, start: float) -> None:
        """Count a call and how long it took."""
        if self.metrics is not None:
            with swallow_errors("metrics"):
                self.metrics.histogram("call.duration", SYSTEM_CLOCK.monotonic() - start)
                self.metrics.increment(f"call.{outcome}")


async def _done(stored: Any) -> None:
    if inspect.isawaitable(stored):
        await stored


_complained: dict[str, float] = {}


class swallow_errors:  # noqa: N801 - reads as a word
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
