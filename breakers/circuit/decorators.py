"""How a breaker decorates the four kinds of function, and how it tells its listeners."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from breakers.circuit.breaker import CircuitBreaker

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
logger = logging.getLogger("breakers")


def wrap(breaker: CircuitBreaker, func: Callable[P, R]) -> Callable[P, R]:
    """`func` behind `breaker`, with its own signature. A generator holds its permit to its end."""
    wrapped: Any
    if is_kind(inspect.isasyncgenfunction, func):
        wrapped = _async_generator(breaker, cast(Any, func))
    elif is_kind(inspect.isgeneratorfunction, func):
        wrapped = _generator(breaker, cast(Any, func))
    elif is_kind(inspect.iscoroutinefunction, func):

        async def awaiting(*args: Any, **kwargs: Any) -> Any:
            return await breaker.acall(cast(Any, func), *args, **kwargs)

        wrapped = awaiting
    else:

        def calling(*args: Any, **kwargs: Any) -> Any:
            return breaker.call(func, *args, **kwargs)

        wrapped = calling
    return cast(Callable[P, R], functools.wraps(func)(wrapped))


def is_kind(asked: Callable[[Any], bool], func: object) -> bool:
    """Whether a function, or an object that is called as one, is of a kind that `inspect` knows."""
    return asked(func) or asked(getattr(type(func), "__call__", None))  # noqa: B004 - asked of, not for


def _generator(
    breaker: CircuitBreaker, func: Callable[..., Iterator[T]]
) -> Callable[..., Iterator[T]]:
    def generating(*args: Any, **kwargs: Any) -> Any:
        ticket, start = breaker.enter()
        try:
            result = yield from cast(Any, func(*args, **kwargs))
        except BaseException as error:
            breaker.leave(ticket, start, error)
            raise
        breaker.leave(ticket, start)
        return result

    return generating


def _async_generator(
    breaker: CircuitBreaker, func: Callable[..., AsyncGenerator[T, Any]]
) -> Callable[..., AsyncGenerator[T, Any]]:
    async def generating(*args: Any, **kwargs: Any) -> AsyncGenerator[T, Any]:
        ticket, start = breaker.enter()
        try:
            async with aclosing(func(*args, **kwargs)) as inner:
                # What `yield from` does for generators, which has no twin for these.
                step = inner.__anext__()
                while True:
                    try:
                        item = await step
                    except StopAsyncIteration:
                        break
                    try:
                        sent = yield item
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        step = inner.athrow(error)
                    else:
                        step = inner.asend(sent)
        except BaseException as error:
            breaker.leave(ticket, start, error)
            raise
        breaker.leave(ticket, start)

    return generating


def notify(listener: Callable[[T], object], record: T) -> None:
    """Call a listener; its error is logged and harms nobody."""
    try:
        listener(record)
    except Exception:
        logger.exception("a listener failed")
