"""`@resilient`: makes every call of a function as options say."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from breakers.calls.caller import ResilientCaller
from breakers.calls.generators import GeneratorCalls
from breakers.calls.options import CallOptions
from breakers.common.rules import is_async, is_async_generator, is_generator

P = ParamSpec("P")
R = TypeVar("R")


def resilient(
    options: CallOptions, caller: ResilientCaller | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function, coroutine function, generator or async generator.

    A fixed `cache_key` is one result for all arguments; use a function of them where they matter.
    A generator that fails is started again from its beginning, so that items that were seen before
    come again: see `breakers.calls.generators`.

    Raises:
        TypeError: the options need something that this kind of function cannot do: coroutine
            functions as rules of a plain function, a cache or hedging for a generator.

    >>> @resilient(CallOptions(timeout=1.0, retries=1, fallback=lambda text: 0))
    ... def number(text: str) -> int:
    ...     return int(text)
    >>> number("42"), number("none")
    (42, 0)
    """
    by = caller or ResilientCaller()

    def decorate(func: Callable[P, R]) -> Callable[P, R]:
        wrapped: Any
        if isinstance(func, staticmethod | classmethod):
            # The descriptor stays the outermost, so that the class still finds a static method.
            return cast(Callable[P, R], type(func)(decorate(func.__func__)))
        if is_generator(func):
            wrapped = GeneratorCalls(by, options).wrap(cast(Any, func))
        elif is_async_generator(func):
            wrapped = GeneratorCalls(by, options).awrap(cast(Any, func))
        elif is_async(func):

            async def awaiting(*args: Any, **kwargs: Any) -> Any:
                return await by.acall(cast(Any, func), options, *args, **kwargs)

            wrapped = awaiting
        else:
            if options.refuses_sync is not None:
                raise TypeError(options.refuses_sync)

            def calling(*args: Any, **kwargs: Any) -> Any:
                return by.call(func, options, *args, **kwargs)

            wrapped = calling
        return cast(Callable[P, R], functools.wraps(func)(wrapped))

    return decorate
