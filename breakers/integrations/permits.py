"""A call's place in a breaker, where its beginning and its end are far apart."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from breakers.circuit.admission import Entry
from breakers.circuit.breaker import CircuitBreaker

P = ParamSpec("P")
R = TypeVar("R")
# What a breaker is told of an error: None where the callee answered with it and is well.
Told = Callable[[BaseException], BaseException | None]


class NothingLearnt(BaseException):
    """Told to a breaker whose call says nothing about the callee, as a cancelled one does not."""


class Held:
    """Asks for a place; gives it back once, however often it is said how the call went.

    Time that the caller spends between `rest` and `resume` is not the callee's latency. `answer` is
    what the breaker's own `is_failure` is shown of a call that went well.

    Raises:
        CircuitBreakerOpen: the breaker refused.
    """

    __slots__ = ("_breaker", "_places", "_rests_since", "_start", "answer")

    def __init__(self, breaker: CircuitBreaker | None) -> None:
        self._breaker = breaker
        self._places: list[Entry] = []
        self._start = 0.0
        self._rests_since: float | None = None
        self.answer: object = None
        if breaker is not None:
            entry, self._start = breaker.enter()
            self._places.append(entry)

    def rest(self) -> None:
        """The callee has nothing to do until `resume`."""
        if self._breaker is not None:
            self._rests_since = self._breaker._now()

    def resume(self) -> None:
        """The callee works again."""
        if self._breaker is not None and self._rests_since is not None:
            self._start += self._breaker._now() - self._rests_since
            self._rests_since = None

    def leave(self, error: BaseException | None = None) -> None:
        """Say how the call went; only the first time counts."""
        try:
            # A pop is atomic: of two who close the same response, one leaves.
            entry = self._places.pop()
        except IndexError:
            return
        self.resume()
        if self._breaker is not None:
            self._breaker.leave(entry, self._start, error, self.answer)


def through(
    breaker: CircuitBreaker,
    told: Told,
    func: Callable[P, R],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """`breaker.call`, where `told` says what an error means.

    Raises:
        CircuitBreakerOpen: the breaker refused.
        Exception: whatever `func` raises.
    """
    entry, start = breaker.enter()
    try:
        result = func(*args, **kwargs)
    except BaseException as error:
        breaker.leave(entry, start, told(error), error)
        raise
    breaker.leave(entry, start, None, result)
    return result


async def athrough(
    breaker: CircuitBreaker,
    told: Told,
    func: Callable[P, Awaitable[R]],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """`through` for a coroutine function."""
    entry, start = breaker.enter()
    try:
        result = await func(*args, **kwargs)
    except BaseException as error:
        breaker.leave(entry, start, told(error), error)
        raise
    breaker.leave(entry, start, None, result)
    return result


class Outermost:
    """The way through a breaker for one object of a single user (a connection, a pipeline) whose
    methods call each other: together they are one call. A second permit inside of the first is one
    that a half-open breaker would never give.
    """

    __slots__ = ("_breaker", "_is_inside", "_told")

    def __init__(self, breaker: CircuitBreaker, told: Told) -> None:
        self._breaker, self._told = breaker, told
        self._is_inside = False

    def through(self, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """`through`, unless a call is under way."""
        if self._is_inside:
            return func(*args, **kwargs)
        self._is_inside = True
        try:
            return through(self._breaker, self._told, func, *args, **kwargs)
        finally:
            self._is_inside = False

    async def athrough(
        self, func: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """`through` for a coroutine function."""
        if self._is_inside:
            return await func(*args, **kwargs)
        self._is_inside = True
        try:
            return await athrough(self._breaker, self._told, func, *args, **kwargs)
        finally:
            self._is_inside = False
