"""How a breaker decorates the four kinds of function, and how it tells its listeners."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from breakers.breaker import CircuitBreaker

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
logger = logging.getLogger("breakers")


def wrap(breaker: CircuitBreaker, func: Callable[P, R]) -> Callable[P, R]:
    """`func` behind `breaker`, with its own signature. A generator holds its permit to its end."""
    wrapped: Any
    if inspect.isasyncgenfunction(func):
        wrapped = _async_generator(breaker, func)
    elif inspect.isgeneratorfunction(func):
        wrapped = _generator(breaker, func)
    elif inspect.iscoroutinefunction(func):

        async def awaiting(*args: Any, **kwargs: Any) -> Any:
            return await breaker.acall(cast(Any, func), *args, **kwargs)

        wrapped = awaiting
    else:

        def calling(*args: Any, **kwargs: Any) -> Any:
            return breaker.call(func, *args, **kwargs)

        wrapped = calling
    return cast(Callable[P, R], functools.wraps(func)(wrapped))


def _generator(
    breaker: CircuitBreaker, func: Callable[..., Iterator[T]]
) -> Callable[..., Iterator[T]]:
    def generating(*args: Any, **kwargs: Any) -> Any:
        entry, start = breaker.enter()
        try:
            result = yield from cast(Any, func(*args, **kwargs))
        except BaseException as error:
            breaker.leave(entry, start, error)
            raise
        breaker.leave(entry, start)
        return result

    return generating


def _async_generator(
    breaker: CircuitBreaker, func: Callable[..., AsyncIterator[T]]
) -> Callable[..., AsyncIterator[T]]:
    async def generating(*args: Any, **kwargs: Any) -> AsyncIterator[T]:
        entry, start = breaker.enter()
        try:
            async for item in func(*args, **kwargs):
                yield item
        except BaseException as error:
            breaker.leave(entry, start, error)
            raise
        breaker.leave(entry, start)

    return generating


def notify(listener: Callable[[T], object], record: T) -> None:
    """Call a listener; its error is logged and harms nobody."""
    try:
        listener(record)
    except Exception:
        logger.exception("a listener failed")
