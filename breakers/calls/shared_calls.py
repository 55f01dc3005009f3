"""Calls that are shared by key, or that need a permit: single flight ▸ deadline ▸ rate limit ▸
bulkhead, around the attempts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from breakers.calls.attempts import Attempts
from breakers.calls.backends import Backends
from breakers.calls.guards import Guards
from breakers.calls.options import CallOptions
from breakers.calls.records import CallTrace
from breakers.calls.single_flight import SingleFlight
from breakers.deadline import bounded


class SharedCalls:
    """The calls of a caller that are shared by key, or guarded."""

    def __init__(self, backends: Backends, attempts: Attempts) -> None:
        self._backends, self._attempts = backends, attempts
        self._single_flight = SingleFlight()

    def call(
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
                result = self.guarded(func, options, args, kwargs, trace)
            except Exception as error:
                self._backends.store_failure(key, options, error)
                raise
            self._backends.store(key, options, result)
            return result

        if not options.single_flight:
            return make()
        with bounded(options.deadline):
            return self._single_flight.run(key, make)

    async def acall(
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
                result = await self.aguarded(func, options, args, kwargs, trace)
            except Exception as error:
                await self._backends.astore_failure(key, options, error)
                raise
            await self._backends.astore(key, options, result)
            return result

        if not options.single_flight:
            return await make()
        with bounded(options.deadline):
            return await self._single_flight.arun(key, make)

    def guarded(
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

    async def aguarded(
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
