"""The rate limit and the bulkhead of a call whose attempts an integration makes itself."""

from __future__ import annotations

from types import TracebackType

from breakers.calls.options import CallOptions
from breakers.common.async_library import need_asyncio
from breakers.errors import BulkheadFull


class Guards:
    """Acquires the rate limit and the bulkhead on entering, and releases the bulkhead on leaving.

    Raises:
        RateLimited, BulkheadFull: on entering; a full bulkhead is counted at the breaker.
    """

    __slots__ = ("_options",)

    def __init__(self, options: CallOptions) -> None:
        self._options = options

    def __enter__(self) -> None:
        options = self._options
        if options.rate_limiter is not None:
            options.rate_limiter.acquire()
        if options.bulkhead is not None:
            try:
                options.bulkhead.acquire()
            except BulkheadFull:
                self._count()
                raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._options.bulkhead is not None:
            self._options.bulkhead.release()

    async def __aenter__(self) -> None:
        options = self._options
        if options.bulkhead is not None:
            need_asyncio("bulkhead")
        if options.rate_limiter is not None:
            await options.rate_limiter.aacquire()
        if options.bulkhead is not None:
            try:
                await options.bulkhead.aacquire()
            except BulkheadFull:
                self._count()
                raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)

    def _count(self) -> None:
        if self._options.circuit_breaker is not None:
            self._options.circuit_breaker.count("bulkhead_full")
