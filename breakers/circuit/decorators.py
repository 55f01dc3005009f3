"""How a breaker decorates the four kinds of function, and how it tells its listeners."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from breakers.common.rules import is_async, is_async_generator, is_generator

if TYPE_CHECKING:
    from breakers.circuit.breaker import CircuitBreaker

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
logger = logging.getLogger("breakers")


def wrap(breaker: CircuitBreaker, func: Callable[P, R]) -> Callable[P, R]:
    """`func` behind `breaker`, with its own signature. A generator holds its permit to its end."""
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


async def anotify(listener: Callable[[T], object], record: T) -> None:
    """`notify` for listeners that may be coroutine functions."""
    try:
        returned = listener(record)
        if inspect.isawaitable(returned):
            await returned
    except Exception:
        logger.exception("a listener failed")


def notify(listener: Callable[[T], object], record: T) -> None:
    """Call a listener. Its error is logged and does not reach the caller."""
    try:
        listener(record)
    except Exception:
        logger.exception("a listener failed")
