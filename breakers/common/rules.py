"""Functions that users give as rules: predicates, hooks, pauses.

A rule that raises says nothing about the callee. Its error is marked, so that it reaches the caller
at once: it is not retried, recorded as a failure or answered by a fallback.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final, TypeVar

R = TypeVar("R")
_MARK: Final = "_breakers_rule_failed"


def mark_rule_error(error: BaseException) -> None:
    """Mark the error of a rule."""
    setattr(error, _MARK, True)


def is_rule_error(error: BaseException) -> bool:
    """Whether a rule raised this error, and not the callee."""
    return _MARK in getattr(error, "__dict__", ())


def apply(rule: Callable[..., R], /, *args: Any) -> R:
    """Call a rule. Its error is marked and raised."""
    try:
        return rule(*args)
    except BaseException as error:
        mark_rule_error(error)
        raise


async def aapply(rule: Callable[..., Any], /, *args: Any) -> Any:
    """`apply` for rules that may be coroutine functions."""
    try:
        result = rule(*args)
        return await result if inspect.isawaitable(result) else result
    except BaseException as error:
        mark_rule_error(error)
        raise


def is_async(func: object) -> bool:
    """Whether calling `func` is known to return a coroutine.

    It looks through partial functions, bound methods, single dispatch, `functools.wraps` and
    objects with a `__call__` method.

    >>> class Client:
    ...     async def __call__(self) -> None: ...
    >>> is_async(Client()), is_async(functools.partial(Client())), is_async(len)
    (True, True, False)
    """
    return _is_kind(inspect.iscoroutinefunction, func)


def is_generator(func: object) -> bool:
    """Whether calling `func` is known to return a generator."""
    return _is_kind(inspect.isgeneratorfunction, func)


def is_async_generator(func: object) -> bool:
    """Whether calling `func` is known to return an async generator."""
    return _is_kind(inspect.isasyncgenfunction, func)


def _is_kind(asked: Callable[[Any], bool], func: object) -> bool:
    while isinstance(func, functools.partial):
        func = func.func
    if isinstance(func, staticmethod | classmethod):
        return _is_kind(asked, func.__func__)
    if asked(func):
        return True
    dispatch = getattr(func, "dispatch", None)
    if dispatch is not None and hasattr(func, "registry") and hasattr(func, "register"):
        # functools.singledispatch: the default implementation speaks for the others.
        return _is_kind(asked, dispatch(object))
    if isinstance(func, type) or inspect.isroutine(func):
        return False
    call = getattr(type(func), "__call__", None)  # noqa: B004 - the attribute is inspected
    return call is not None and asked(call)
