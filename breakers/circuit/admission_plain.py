"""Admission of calls in plain Python: entering, leaving, and the latency counters.

`breakers.circuit._admission` implements the same in C; `breakers.circuit.admission` selects the
implementation. One test suite holds both to the same behaviour. Appends and slice deletions of a
list are atomic, with the interpreter lock and with free-threaded Python's per-list locks alike.
"""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable
from itertools import count
from math import ceil, inf, log2
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from breakers.circuit.recorder import REJECTED, SUCCESS, Recorder
from breakers.common.awaiting import mark_misuse
from breakers.common.running import Where, where
from breakers.errors import CircuitBreakerOpen

P = ParamSpec("P")
R = TypeVar("R")

# The layout of breakers.circuit.histogram, which cannot be imported from here.
_SCALE: Final = 8
_LOWEST: Final = -160
_HIGHEST: Final = 136
_MIN_S: Final = 2.0 ** ((_LOWEST + 1) / _SCALE)
_MAX_S: Final = 2.0 ** (_HIGHEST / _SCALE)

_MOST: Final = 4096


def count_latencies(counts: array[int], first: int, latencies: list[float]) -> list[float] | None:
    """Count each latency's bucket; `counts` begins with bucket `first`.

    Returns those that fall outside of it, or None.
    """
    beyond: list[float] = []
    size = len(counts)
    for seconds in latencies:
        if seconds > _MAX_S:
            index = _HIGHEST - first
        elif seconds > _MIN_S:
            index = ceil(log2(seconds) * _SCALE) - 1 - first
        else:
            index = _LOWEST - first
        if 0 <= index < size:
            counts[index] += 1
        else:
            beyond.append(seconds)
    return beyond or None


class Sketch(Protocol):
    """What takes latencies in: a `breakers.circuit.histogram.Histogram`."""

    def record_many(self, latencies: list[float]) -> None: ...


class Ticket:
    """The ticket of a call that was let in: one a generation where calls pass, one a probe.

    `plain_below` is the latency under which a success needs no closer look; -1 where all do.
    Successes wait in it to be counted, until there are `batch` of them or the clock is at `edge`.
    Where nobody could count them then, the next try is made once there are `due`. `last` is when
    the last of them ended. `is_ended` is set when a probe has ended.
    """

    __slots__ = ("batch", "due", "edge", "is_ended", "last", "lease", "pending", "plain_below")

    def __init__(self, plain_below: float, edge: float, batch: int, lease: float = 0.0) -> None:
        self.pending: list[float] = []
        self.plain_below = plain_below
        self.lease = lease
        self.last = -inf
        self.is_ended = False
        self.renew(edge, batch)

    @property
    def is_full(self) -> bool:
        """Whether no more may wait."""
        return len(self.pending) >= _MOST

    def renew(self, edge: float, batch: int) -> None:
        """Until when, and how many, successes may wait from here on."""
        self.edge = edge
        self.batch = self.due = batch

    def pour(self, sketch: Sketch) -> int:
        """Move the pending latencies into `sketch`; returns their number. On an error they stay."""
        n = len(self.pending)
        batch = self.pending[:n]
        del self.pending[:n]
        self.due = self.batch
        if n:
            try:
                sketch.record_many(batch)
            except BaseException:
                self.pending[:0] = batch
                raise
        return n


Begun = tuple[Ticket, float, Any]


class Admission(Recorder):
    """Admits calls and records how they end. Subclasses implement the slow path: probes, refusals,
    failures."""

    name: str
    _ticket: Ticket | None
    _refusing_until: float
    _now: Callable[[], float]

    def __init__(self) -> None:
        super().__init__()
        self._ticket = None
        self._refusing_until = -inf
        # The threads and tasks that are inside a call.
        self._active: dict[Where, None] = {}
        self._reset_counters()

    def call(self, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `func` if the breaker lets it. A call inside another one of the same breaker, in the
        same context, is part of it: it is neither refused nor counted.

        Raises:
            CircuitBreakerOpen: the breaker refused, `CircuitForcedOpen` if an operator did.
            Exception: whatever `func` raises, or what `map_errors` puts in its place.
        """
        begun = self._begin()
        if begun is None:
            return func(*args, **kwargs)
        try:
            result = func(*args, **kwargs)
        except BaseException as error:
            self._end(begun, error)
            raise
        if hasattr(type(result), "__await__"):
            ticket, start, here = begun
            self._active.pop(here, None)
            return self._returned_awaitable(ticket, start, result)  # type: ignore[no-any-return]
        self._end(begun, None, result)
        return result

    async def acall(
        self, func: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """`call` for a coroutine function. A cancelled call is neither success nor failure."""
        begun = self._begin()
        if begun is None:
            return await func(*args, **kwargs)
        try:
            result = await func(*args, **kwargs)
        except BaseException as error:
            mark_misuse(error)
            self._end(begun, error)
            raise
        self._end(begun, None, result)
        return result

    def enter(self) -> tuple[Ticket, float]:
        """Ask for a permit; give what it returns back to `leave`. For integrations.

        Raises:
            CircuitBreakerOpen: the breaker refused.
        """
        ticket = self._ticket
        if ticket is None:
            # A refusal is the hot path of an outage: no further frame, no lock.
            now = self._now()
            left = self._refusing_until - now
            if left > 0:
                self._refused(now)
                raise CircuitBreakerOpen(self.name, left)
            ticket = self._admit()
        try:
            start = self._now()
        except BaseException:
            self._abandon(ticket)
            raise
        if ticket.lease >= 0:
            self._started()
        return ticket, start

    def leave(
        self, ticket: Ticket, start: float, error: BaseException | None = None, result: Any = None
    ) -> None:
        """Record how the call that `enter` admitted went.

        Raises:
            Exception: what the breaker's `map_errors` puts in the place of `error`.
        """
        end = self._now()
        if error is not None:
            self._failed(ticket, end, start, error)
            return
        elapsed = end - start
        if elapsed < ticket.plain_below:
            self._passed(ticket, end, elapsed)
        else:
            self._returned(ticket, end, elapsed, result)

    def _begin(self) -> Begun | None:
        """`enter` for coroutines and blocks; None for a nested call."""
        here = where()
        if here in self._active:
            return None
        ticket, start = self.enter()
        if ticket.lease > 0:
            self._mark_probe(ticket)
        self._active[here] = None
        return ticket, start, here

    def _end(self, begun: Begun, error: BaseException | None = None, result: Any = None, /) -> None:
        """The end of what `_begin` began."""
        ticket, start, here = begun
        self._active.pop(here, None)
        self.leave(ticket, start, error, result)

    def _passed(self, ticket: Ticket, now: float, elapsed: float) -> None:
        """Let a plain success wait to be counted."""
        pending = ticket.pending
        if pending and now >= ticket.edge:
            # What waits is of an earlier time.
            ticket.due = len(pending) + ticket.batch
            self._flush(ticket, now)
        self._record_call(now - elapsed, elapsed, SUCCESS)
        ticket.last = now
        pending.append(elapsed)
        if len(pending) >= ticket.due or now >= ticket.edge or ticket is not self._ticket:
            ticket.due = len(pending) + ticket.batch
            self._flush(ticket, now)

    # -- Counters that any thread may add to without a lock --------------------------------------

    def _reset_counters(self) -> None:
        self._started = count().__next__
        self._refusals = count().__next__
        self._starts_seen = self._refusals_seen = 0
        self._forget_calls()

    def _refused(self, now: float) -> None:
        """Count a refusal."""
        self._refusals()
        if self._records_refusals:
            self._record_call(now, 0.0, REJECTED)
        elif self._noted_attempts:
            self._take_attempt()

    def _take_starts(self) -> int:
        """Calls let in since this was asked last."""
        # Looking costs one number, which the next look must not count.
        value, seen = self._started(), self._starts_seen
        self._starts_seen = value + 1
        return value - seen

    def _take_refusals(self) -> int:
        """Calls refused since this was asked last."""
        value, seen = self._refusals(), self._refusals_seen
        self._refusals_seen = value + 1
        return value - seen

    # -- Beside the plain path -------------------------------------------------------------------

    def _is_inside(self) -> bool:
        return where() in self._active

    def _admit(self) -> Ticket:
        """Where calls do not pass freely: a probe's permit, or a refusal."""
        raise NotImplementedError

    def _abandon(self, ticket: Ticket) -> None:
        """Take back the permit of a call that did not begin."""
        raise NotImplementedError

    def _mark_probe(self, ticket: Ticket) -> None:
        """Note that this context, and what it starts, is inside a probe."""
        raise NotImplementedError

    def _flush(self, ticket: Ticket, now: float) -> None:
        """Count the successes that wait."""
        raise NotImplementedError

    def _returned(self, ticket: Ticket, now: float, elapsed: float, result: Any) -> None:
        """Count a call that returned and needs a closer look."""
        raise NotImplementedError

    def _returned_awaitable(self, ticket: Ticket, start: float, result: Any) -> Any:
        """Handle a call that returned something to await; returns what `call` returns."""
        raise NotImplementedError

    def _failed(self, ticket: Ticket, now: float, start: float, error: BaseException) -> None:
        """Count a call that raised; may raise another error in its place."""
        raise NotImplementedError
