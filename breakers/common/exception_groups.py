"""Looks into exception groups, so that a rule for an error holds for a group of such errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

E = TypeVar("E", bound=BaseException)
Kinds = type[BaseException] | tuple[type[BaseException], ...]


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group, at any depth; the error itself if it is no group.

    >>> group = ExceptionGroup("all", [KeyError("a"), ExceptionGroup("some", [OSError("b")])])
    >>> list(leaves(group))
    [KeyError('a'), OSError('b')]
    """
    pending = [error]
    while pending:
        each = pending.pop()
        if isinstance(each, BaseExceptionGroup):
            pending.extend(reversed(each.exceptions))
        else:
            yield each


def find(error: BaseException, kinds: type[E] | tuple[type[E], ...]) -> E | None:
    """The error, or the first one in a group, that is of one of the kinds."""
    if isinstance(error, kinds):
        return error
    if isinstance(error, BaseExceptionGroup):
        for each in leaves(error):
            if isinstance(each, kinds):
                return each
    return None


def every(error: BaseException, matches: Callable[[BaseException], bool]) -> bool:
    """Whether a rule holds for an error, or for each error in a group."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(matches, leaves(error)))
    return matches(error)


def is_all(error: BaseException, kinds: Kinds) -> bool:
    """Whether an error, or the group itself, or each error in the group, is of one of the kinds."""
    return isinstance(error, kinds) or every(error, lambda each: isinstance(each, kinds))
