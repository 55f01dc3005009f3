"""A bulkhead that finds its own size from the latencies it sees."""

from __future__ import annotations

import functools
from collections.abc import Callable
from math import sqrt
from types import TracebackType
from typing import Any, Final

from breakers.clock import SYSTEM_CLOCK, Clock
from breakers.common.context_stack import ContextStack
from breakers.common.validation import number, whole
from breakers.limits.slots import Slots

_SMOOTHING: Final = 0.2
_LONG_TERM: Final = 1 / 600
_WARM_UP: Final = 10
_BACKOFF: Final = 0.9


class AdaptiveLimit(Slots):
    """As many calls at once as the dependency answers without queueing them.

    The gradient algorithm of Netflix's concurrency-limits (Gradient2): the limit shrinks by the
    ratio of the long-term latency to the present one, and grows by the square root of itself while
    they agree. A call that fails shrinks it by a tenth. It only moves while at least half of it is
    in use, since an idle limit says nothing.

    Args:
        initial, minimum, maximum: calls at once.
        tolerance: how many times the long-term latency is still well (1.5).
        max_wait: seconds to wait for a slot.

    Raises:
        PolicyError: at construction.
        BulkheadFull: on entering, where no slot came free in time.

    >>> limit = AdaptiveLimit(initial=10)
    >>> with limit:
    ...     limit.max_concurrent
    10
    """

    def __init__(
        self,
        initial: int = 20,
        *,
        minimum: int = 1,
        maximum: int = 1000,
        tolerance: float = 1.5,
        max_wait: float = 0.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        super().__init__(initial, max_wait)
        self.minimum = whole("minimum", minimum, 1, initial)
        self.maximum = whole("maximum", maximum, initial)
        self.tolerance = number("tolerance", tolerance, 1)
        self._now: Callable[[], float] = clock.monotonic
        self._exact = float(initial)
        self._usual = 0.0
        self._seen = 0

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process gets a limit of its own, which starts where this one is."""
        made = functools.partial(
            AdaptiveLimit,
            minimum=self.minimum,
            maximum=self.maximum,
            tolerance=self.tolerance,
            max_wait=self.max_wait,
        )
        return made, (self.max_concurrent,)

    def observe(self, elapsed: float, failed: bool = False) -> None:
        """Learn from a call that took `elapsed` seconds."""
        with self._lock:
            self._seen = min(self._seen + 1, _WARM_UP)
            # The plain mean of the first few: one odd call at the start says nothing.
            weight = _LONG_TERM if self._seen == _WARM_UP else 1 / self._seen
            self._usual += weight * (elapsed - self._usual)
            if self._usual > 2 * elapsed:
                # Long bad times are over: what is usual must not take as long to be unlearned.
                self._usual *= 0.95
            if failed:
                wanted = self._exact * _BACKOFF
            elif 2 * self._held < self._limit:
                return
            else:
                ratio = self.tolerance * self._usual / elapsed if elapsed > 0 else 1.0
                gradient = max(0.5, min(1.0, ratio))
                target = self._exact * gradient + sqrt(self._exact)
                wanted = self._exact + _SMOOTHING * (target - self._exact)
            self._exact = min(float(self.maximum), max(float(self.minimum), wanted))
            self._limit = int(self._exact)
            self._serve()

    def __enter__(self) -> None:
        super().__enter__()
        _entered.push(self, self._now())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        start = _entered.pop(self)
        if error is None or isinstance(error, Exception):
            self.observe(self._now() - start, failed=error is not None)
        self.release()

    async def __aenter__(self) -> None:
        await self.aacquire()
        _entered.push(self, self._now())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)


_entered = ContextStack("breakers_limits")
