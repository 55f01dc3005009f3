"""Marks code that an alarm must not interrupt, because it would leave state half-updated.

The mark belongs to the code object. It stays with a class or a function that moves to another
module or gets another name.
"""

from __future__ import annotations

from types import CodeType, FrameType, FunctionType
from typing import Any, Final, TypeVar

T = TypeVar("T", bound="type[Any] | FunctionType | Any")
_PACKAGE: Final = __name__.partition(".")[0]
_marked: set[CodeType] = set()


def uninterruptible(target: T) -> T:
    """Mark a function, or every function that a class defines itself.

    Do not mark a function that runs a callee in its own frame: a callee that is written in C has no
    frame, and its caller's frame is the one that an alarm interrupts.

    >>> @uninterruptible
    ... class Counter:
    ...     def add(self) -> None:
    ...         pass
    >>> is_marked(Counter.add)
    True
    """
    members = vars(target).values() if isinstance(target, type) else (target,)
    for member in members:
        for function in _functions_of(member):
            _mark(function.__code__)
    return target


def is_marked(func: Any) -> bool:
    """Whether the code of a function is marked."""
    return func.__code__ in _marked


def is_uninterruptible(frame: FrameType | None) -> bool:
    """Whether marked code runs in `frame`, or called the code of this package that runs there."""
    while frame is not None and _is_ours(frame):
        if frame.f_code in _marked:
            return True
        frame = frame.f_back
    return False


def _is_ours(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__")
    return isinstance(name, str) and name.partition(".")[0] == _PACKAGE


def _mark(code: CodeType) -> None:
    _marked.add(code)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _mark(constant)


def _functions_of(member: object) -> list[FunctionType]:
    if isinstance(member, FunctionType):
        return [member]
    if isinstance(member, staticmethod | classmethod):
        return _functions_of(member.__func__)
    if isinstance(member, property):
        accessors = (member.fget, member.fset, member.fdel)
        return [each for each in accessors if isinstance(each, FunctionType)]
    return []
