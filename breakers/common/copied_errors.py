"""Copies of an error, for several callers that raise the same one at once.

A traceback belongs to the error object. If several threads or tasks raise one object, each adds its
frames to the same traceback.
"""

from __future__ import annotations

import copy
from typing import TypeVar

E = TypeVar("E", bound=BaseException)
_OS_FIELDS = ("errno", "strerror", "filename", "filename2")


def copied(error: E) -> E:
    """A copy with the same type, arguments, attributes, notes and cause, without a traceback.

    An error that cannot be copied is returned as it is.

    >>> class NotFound(Exception):
    ...     def __init__(self, kind: str, number: int) -> None:
    ...         super().__init__(f"no {kind} {number}")
    >>> first = NotFound("user", 7)
    >>> copied(first), copied(first) is first
    (NotFound('no user 7'), False)
    """
    try:
        made = _made(error)
    except Exception:
        return error
    if type(made) is not type(error) or made is error:
        return error
    made.__cause__, made.__context__ = error.__cause__, error.__context__
    made.__suppress_context__ = error.__suppress_context__
    return made


def _made(error: E) -> E:
    if not _has_own_init(type(error)):
        return copy.copy(error)
    # Its __init__ takes other arguments than `args`: it is not run again.
    made = type(error).__new__(type(error), *error.args)
    made.args = error.args
    made.__dict__.update(error.__dict__)
    if isinstance(error, OSError):
        for name in _OS_FIELDS:
            if getattr(error, name) is not None:
                setattr(made, name, getattr(error, name))
    return made


def _has_own_init(kind: type[BaseException]) -> bool:
    """Whether a class written in Python defines how its errors are made."""
    for each in kind.__mro__:
        if each.__module__ == "builtins":
            return False
        if "__init__" in vars(each) or "__new__" in vars(each):
            return "__reduce__" not in vars(each)
    return False
