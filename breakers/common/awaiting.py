"""Tells functions from coroutine functions where one is given in place of the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from breakers.common.rules import mark_rule_error

R = TypeVar("R")
_NOT_AWAITABLE: Final = "can't be used in 'await' expression"


def awaitable(returned: Awaitable[R], func: Callable[..., Any]) -> Awaitable[R]:
    """What an async call awaits.

    Raises:
        TypeError: `func` returned something else. It is not retried, because the function has been
            run, and a breaker does not record it.
    """
    if hasattr(type(returned), "__await__"):
        return returned
    error = TypeError(
        f"{func!r} returned {type(returned).__name__}, which cannot be awaited: use call for a "
        "plain function"
    )
    mark_rule_error(error)
    try:
        raise error
    finally:
        del error


def mark_misuse(error: BaseException) -> None:
    """Mark the error of `await func()` in the calling frame if `func` is a plain function.

    It costs nothing where nothing is raised, unlike `awaitable`.
    """
    if type(error) is not TypeError or error.__traceback__ is None:
        return
    if error.__traceback__.tb_next is None and str(error).endswith(_NOT_AWAITABLE):
        error.add_note("The function is no coroutine function: use call for a plain function.")
        mark_rule_error(error)
