"""How a breaker decorates the four kinds of function."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any, Final, ParamSpec, Protocol, TypeVar, cast

from breakers.circuit.admission import Ticket
from breakers.common.rules import is_async, is_async_generator, is_generator

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

# A generator that has produced this many items is a success.
FLOWING_ITEMS: Final = 10


class Breaker(Protocol):
    """What a decorated function asks of its breaker."""

    _now: Callable[[], float]

    def call(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any: ...

    def acall(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Awaitable[Any]: ...

    def enter(self) -> tuple[Ticket, float]: ...

    def leave(self, ticket: Ticket, start: float, error: BaseException | None = None) -> None: ...

    def record_failure(self, error: Exception) -> None: ...


def wrap(breaker: Breaker, func: Callable[P, R]) -> Callable[P, R]:
    """`func` behind `breaker`, with its own signature. A generator is a success once it
    has produced `FLOWING_ITEMS` items, or has ended."""
    wrapped: Any
    if isinstance(func, staticmethod | classmethod):
        # The descriptor stays the outermost, so that the class still finds a static method.
        return cast(Callable[P, R], type(func)(wrap(breaker, func.__func__)))
    if is_async_generator(func):
        wrapped = _async_generator(breaker, cast(Any, func))
    elif is_generator(func):
        wrapped = _generator(breaker, cast(Any, func))
    elif is_async(func):

        async def awaiting(*args: Any, **kwargs: Any) -> Any:
            return await breaker.acall(cast(Any, func), *args, **kwargs)

        wrapped = awaiting
    else:

        def calling(*args: Any, **kwargs: Any) -> Any:
            return breaker.call(func, *args, **kwargs)

        wrapped = calling
    return cast(Callable[P, R], functools.wraps(func)(wrapped))


class _Flow:
    """One run of a generator behind a breaker.

    Only the time that the callee works counts as latency, not the time that its reader takes. From
    the tenth item on the call is a success, and a probe's permit is given back: a stream may never
    end. What fails later is a failure of its own. A reader that leaves early has had an answer: a
    success too, if at least one item came.
    """

    __slots__ = ("_breaker", "_items", "_since", "_spent", "_ticket")

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._spent = 0.0
        self._items = 0
        self._ticket: Ticket | None
        self._ticket, self._since = breaker.enter()

    def item(self) -> None:
        """The callee has produced an item; until `go_on` the reader has the time."""
        now = self._breaker._now()
        self._spent += now - self._since
        self._since = now
        self._items += 1
        if self._items == FLOWING_ITEMS:
            self._leave(None)

    def go_on(self) -> None:
        """The reader wants the next item."""
        self._since = self._breaker._now()

    def end(self, error: BaseException | None = None) -> None:
        """The callee has ended, or its reader has left."""
        now = self._breaker._now()
        if isinstance(error, GeneratorExit):
            if self._items:
                error = None
        else:
            self._spent += now - self._since
        if self._ticket is not None:
            self._leave(error)
        elif isinstance(error, Exception):
            self._breaker.record_failure(error)

    def _leave(self, error: BaseException | None) -> None:
        ticket, self._ticket = self._ticket, None
        if ticket is not None:
            self._breaker.leave(ticket, self._breaker._now() - self._spent, error)


def _generator(breaker: Breaker, func: Callable[..., Iterator[T]]) -> Callable[..., Iterator[T]]:
    def generating(*args: Any, **kwargs: Any) -> Any:
        flow = _Flow(breaker)
        try:
            inner = cast(Any, func(*args, **kwargs))
            step: Callable[[], Any] = inner.__next__
            while True:
                # What `yield from` does, with the reader's time left out.
                try:
                    item = step()
                except StopIteration as end:
                    result = end.value
                    break
                flow.item()
                try:
                    sent = yield item
                except GeneratorExit:
                    inner.close()
                    raise
                except BaseException as error:
                    flow.go_on()
                    step = functools.partial(inner.throw, error)
                else:
                    flow.go_on()
                    step = inner.__next__ if sent is None else functools.partial(inner.send, sent)
        except BaseException as error:
            flow.end(error)
            raise
        flow.end()
        return result

    return generating


def _async_generator(
    breaker: Breaker, func: Callable[..., AsyncGenerator[T, Any]]
) -> Callable[..., AsyncGenerator[T, Any]]:
    async def generating(*args: Any, **kwargs: Any) -> AsyncGenerator[T, Any]:
        flow = _Flow(breaker)
        try:
            async with aclosing(func(*args, **kwargs)) as inner:
                # What `yield from` does for generators; async generators have no such statement.
                step = inner.__anext__()
                while True:
                    try:
                        item = await step
                    except StopAsyncIteration:
                        break
                    flow.item()
                    try:
                        sent = yield item
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        flow.go_on()
                        step = inner.athrow(error)
                    else:
                        flow.go_on()
                        step = inner.asend(sent)
        except BaseException as error:
            flow.end(error)
            raise
        flow.end()

    return generating
