"""Permits of a breaker for calls that begin in one function and end in another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from breakers.circuit.admission import Ticket
from breakers.circuit.breaker import CircuitBreaker

P = ParamSpec("P")
R = TypeVar("R")
# Maps a raised error to the one that the breaker records. None records a success.
OutcomeRule = Callable[[BaseException], BaseException | None]


class NoOutcome(BaseException):
    """Recorded for a call that says nothing about the callee. It counts as a cancelled call."""


class Permit:
    """A breaker's permit for one call. `leave` records the outcome once; later calls do nothing.

    The time between `rest` and `resume` is the caller's and does not count as latency. `answer` is
    the value that the breaker's `is_failure` judges when the call succeeds.

    Raises:
        CircuitBreakerOpen: the breaker refused.
    """

    __slots__ = ("_breaker", "_latency", "_rests_since", "_start", "_tickets", "answer")

    def __init__(self, breaker: CircuitBreaker | None) -> None:
        self._breaker = breaker
        self._tickets: list[Ticket] = []
        self._start = 0.0
        self._rests_since: float | None = None
        self._latency = 0.0
        self.answer: object = None
        if breaker is not None:
            ticket, self._start = breaker.enter()
            self._tickets.append(ticket)

    def rest(self) -> None:
        """Stop the clock: the callee has nothing to do until `resume`."""
        if self._breaker is not None:
            self._rests_since = self._breaker._now()

    def resume(self) -> None:
        """Restart the clock: the callee works again."""
        if self._breaker is not None and self._rests_since is not None:
            self._start += self._breaker._now() - self._rests_since
            self._rests_since = None

    def answered(self) -> None:
        """Note the latency so far, and rest: the callee has answered, and its body begins."""
        if self._breaker is not None:
            self._latency = self._breaker._now() - self._start
        self.rest()

    def succeed(self) -> None:
        """Record a success with the latency that `answered` noted."""
        if self._breaker is not None:
            self._start = self._breaker._now() - self._latency
            self._rests_since = None
        self.leave()

    def leave(self, error: BaseException | None = None) -> None:
        """Record the outcome and return the permit."""
        try:
            # pop is atomic: of two threads that close the same response, one records the outcome.
            ticket = self._tickets.pop()
        except IndexError:
            return
        self.resume()
        # The response refers to this permit.
        answer, self.answer = self.answer, None
        if self._breaker is not None:
            self._breaker.leave(ticket, self._start, error, answer)


def guarded_call(
    breaker: CircuitBreaker,
    outcome_of: OutcomeRule,
    func: Callable[P, R],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """`breaker.call`, with `outcome_of` to classify errors.

    Raises:
        CircuitBreakerOpen: the breaker refused.
        Exception: whatever `func` raises.
    """
    ticket, start = breaker.enter()
    try:
        result = func(*args, **kwargs)
    except BaseException as error:
        breaker.leave(ticket, start, outcome_of(error), error)
        raise
    breaker.leave(ticket, start, None, result)
    return result


async def guarded_acall(
    breaker: CircuitBreaker,
    outcome_of: OutcomeRule,
    func: Callable[P, Awaitable[R]],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """`guarded_call` for a coroutine function."""
    ticket, start = breaker.enter()
    try:
        result = await func(*args, **kwargs)
    except BaseException as error:
        breaker.leave(ticket, start, outcome_of(error), error)
        raise
    breaker.leave(ticket, start, None, result)
    return result


class ReentrantGuard:
    """Guards the methods of one object with a single user, such as a connection or a pipeline.

    Guarded methods may call each other. The outermost call takes the permit; calls inside it take
    none, because a half-open breaker would refuse them.
    """

    __slots__ = ("_breaker", "_is_inside", "_outcome_of")

    def __init__(self, breaker: CircuitBreaker, outcome_of: OutcomeRule) -> None:
        self._breaker, self._outcome_of = breaker, outcome_of
        self._is_inside = False

    def call(self, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """`guarded_call`, or a plain call inside another guarded call."""
        if self._is_inside:
            return func(*args, **kwargs)
        self._is_inside = True
        try:
            return guarded_call(self._breaker, self._outcome_of, func, *args, **kwargs)
        finally:
            self._is_inside = False

    async def acall(
        self, func: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """`call` for a coroutine function."""
        if self._is_inside:
            return await func(*args, **kwargs)
        self._is_inside = True
        try:
            return await guarded_acall(self._breaker, self._outcome_of, func, *args, **kwargs)
        finally:
            self._is_inside = False
