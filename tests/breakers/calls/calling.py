"""A dependency and a caller for tests, sync and async."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from breakers import (
    CallOptions,
    ResilientCaller,
)


class Boom(Exception):
    pass


class Dependency:
    """Fails as often as it is told to, then answers; counts how often it was asked."""

    def __init__(self, failures: int = 0, error: Callable[[], Exception] = Boom) -> None:
        self.failures = failures
        self.error = error
        self.asked = 0

    def __call__(self, *args: Any) -> str:
        self.asked += 1
        if self.asked <= self.failures:
            raise self.error()
        return "answer"


class Calls:
    """A caller, sync or async, which never really waits."""

    def __init__(self, is_async: bool) -> None:
        self.is_async = is_async
        self.slept: list[float] = []
        self.caller = ResilientCaller(
            sleep=self.slept.append, asleep=self._asleep, random=lambda: 1
        )

    async def _asleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def __call__(self, func: Callable[..., Any], options: CallOptions, *args: Any) -> Any:
        if not self.is_async:
            return self.caller.call(func, options, *args)

        async def awaited(*args: Any) -> Any:
            return func(*args)

        return asyncio.run(self.caller.acall(awaited, options, *args))
