"""The breaker that one writes in an afternoon: a lock before and after, a wall clock, counters."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any


class NaiveBreaker:
    """As blog posts have it, for comparison only."""

    def __init__(self, failure_threshold: int = 5, timeout_duration: float = 3600.0) -> None:
        self.failure_threshold = failure_threshold
        self.timeout_duration = timeout_duration
        self.failures = 0
        self.opened: datetime | None = None
        self.lock = threading.Lock()

    def call(self, func: Callable[[], Any]) -> Any:
        self._enter()
        try:
            result = func()
        except Exception:
            self._failed()
            raise
        self._succeeded()
        return result

    async def acall(self, func: Callable[[], Awaitable[Any]]) -> Any:
        self._enter()
        try:
            result = await func()
        except Exception:
            self._failed()
            raise
        self._succeeded()
        return result

    def _enter(self) -> None:
        with self.lock:
            if self.opened is not None:
                waited = datetime.now() - self.opened
                if waited < timedelta(seconds=self.timeout_duration):
                    raise RuntimeError("open")
                self.opened = None

    def _failed(self) -> None:
        with self.lock:
            self.failures += 1
            if self.failures >= self.failure_threshold:
                self.opened = datetime.now()

    def _succeeded(self) -> None:
        with self.lock:
            self.failures = 0
