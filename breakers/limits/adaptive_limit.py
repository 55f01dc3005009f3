"""A bulkhead that finds its own size from the latencies it sees."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from math import sqrt
from types import TracebackType
from typing import Any, Final

from breakers.clock import SYSTEM_CLOCK, Clock
from breakers.common.context_stack import ContextStack
from breakers.common.validation import number, whole
from breakers.errors import PolicyError
from breakers.limits.slots import MAX_WAITING, Slots

ErrorRule = type[BaseException] | Iterable[type[BaseException]] | Callable[[Exception], bool]

_SMOOTHING: Final = 0.2
_LONG_TERM: Final = 1 / 600
_WARM_UP: Final = 10
_BACKOFF: Final = 0.9


class AdaptiveLimit(Slots):
    """As many calls at once as the dependency answers without queueing them.

    The gradient algorithm of Netflix's concurrency-limits (Gradient2): the limit shrinks by the
    ratio of the long-term latency to the present one, and grows by the square root of itself while
    they agree. An overload error shrinks it by a tenth; other errors say nothing. It only moves
    while at least half of it is in use, since an idle limit says nothing.

    Args:
        initial, minimum, maximum: calls at once.
        tolerance: how many times the long-term latency is still well (1.5).
        max_wait: seconds to wait for a slot.
        max_waiting: callers that may wait at once.
        overload: errors of an overloaded callee: types, or a function of the error. Timeouts and
            connection errors are, by default.

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
        max_waiting: int = MAX_WAITING,
        overload: ErrorRule = (OSError,),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        super().__init__(initial, max_wait, max_waiting)
        self._overload = overload
        self._is_overload = _rule(overload)
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
            max_waiting=self.max_waiting,
            overload=self._overload,
        )
        return made, (self.max_concurrent,)

    def observe(self, elapsed: float, failed: bool = False) -> None:
        """Learn from a call that took `elapsed` seconds; `failed` means that the callee was
        overloaded."""
        self._guard.run(self._observe, elapsed, failed)

    def _observe(self, elapsed: float, failed: bool) -> None:
        if failed:
            wanted = self._exact * _BACKOFF
        else:
            self._learn(elapsed)
            if 2 * self._held < self._limit:
                return
            ratio = self.tolerance * self._usual / elapsed if elapsed > 0 else 1.0
            gradient = max(0.5, min(1.0, ratio))
            target = self._exact * gradient + sqrt(self._exact)
            wanted = self._exact + _SMOOTHING * (target - self._exact)
        self._exact = min(float(self.maximum), max(float(self.minimum), wanted))
        self._limit = int(self._exact)
        self._serve()

    def _learn(self, elapsed: float) -> None:
        self._seen = min(self._seen + 1, _WARM_UP)
        # The plain mean of the first few: one odd call at the start says nothing.
        weight = _LONG_TERM if self._seen == _WARM_UP else 1 / self._seen
        self._usual += weight * (elapsed - self._usual)
        if self._usual > 2 * elapsed:
            # Long bad times are over: the usual latency must not take as long to be unlearned.
            self._usual *= 0.95

    def _judge(self, elapsed: float, error: BaseException | None) -> None:
        """Only the latency of a real answer and real overload count. What was refused before the
        callee was asked, an error that is an answer, and a cancelled call say nothing."""
        if error is None:
            self.observe(elapsed)
        elif isinstance(error, Exception) and self._is_overload(error):
            self.observe(elapsed, failed=True)

    def __enter__(self) -> None:
        self.acquire()
        _blocks.push(self, self._now())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        start = _blocks.pop(self)
        self.release()
        self._judge(self._now() - start, error)

    async def __aenter__(self) -> None:
        await self.aacquire()
        _blocks.push(self, self._now())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        start = _blocks.pop(self)
        self.release()
        self._judge(self._now() - start, error)


def _rule(overload: ErrorRule) -> Callable[[Exception], bool]:
    if isinstance(overload, type):
        return lambda error: isinstance(error, overload)
    if callable(overload):
        return overload
    kinds = tuple(overload)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise PolicyError("overload", kind, "an exception type, several, or a function")
    return lambda error: isinstance(error, kinds)


_blocks = ContextStack()
