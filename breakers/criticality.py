"""How much a call matters: critical, default or sheddable. What refuses a share refuses the least
important calls first.

The class is a context variable: coroutines, tasks and the threads that this library starts see the
class of their caller.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from enum import StrEnum
from types import TracebackType
from typing import Final


class Criticality(StrEnum):
    """The classes, by importance.

    >>> Criticality("sheddable") is Criticality.SHEDDABLE
    True
    """

    CRITICAL = "critical"
    DEFAULT = "default"
    SHEDDABLE = "sheddable"


_RANKS: Final = {level: place for place, level in enumerate(Criticality)}
SHEDDABLE_SHARE: Final = 0.75
_current: ContextVar[Criticality] = ContextVar("breakers_criticality", default=Criticality.DEFAULT)


def current_criticality() -> Criticality:
    """The class of the running call.

    >>> current_criticality().value
    'default'
    """
    return _current.get()


class criticality:  # noqa: N801 - used like a function
    """Give the calls of a block a class.

    Raises:
        ValueError: there is no such class.

    >>> with criticality("sheddable"):
    ...     current_criticality().value
    'sheddable'
    """

    __slots__ = ("_level", "_token")

    def __init__(self, level: Criticality | str) -> None:
        try:
            self._level = Criticality(level)
        except ValueError:
            known = ", ".join(Criticality)
            raise ValueError(f"criticality is {str(level)[:40]!r}; there are {known}") from None
        self._token: Token[Criticality] | None = None

    def __enter__(self) -> None:
        self._token = _current.set(self._level)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._token is not None:
            _current.reset(self._token)


def rank() -> int:
    """The place of the present class in a queue: 0 is served first.

    >>> rank()
    1
    """
    return _RANKS[_current.get()]


def usable_share() -> float:
    """The share of a limit that a call of the present class may use: sheddable calls leave the last
    quarter to the others.

    >>> with criticality("sheddable"):
    ...     usable_share()
    0.75
    """
    return SHEDDABLE_SHARE if _current.get() is Criticality.SHEDDABLE else 1.0


def refused_share(share: float) -> float:
    """The probability with which a call of the present class is refused where `share` of all
    default calls are: lower for critical calls, higher for sheddable ones.

    >>> with criticality("critical"):
    ...     refused_share(0.5)
    0.25
    >>> with criticality("sheddable"):
    ...     refused_share(0.5)
    0.75
    """
    level = _current.get()
    if level is Criticality.CRITICAL:
        return share * share
    if level is Criticality.SHEDDABLE:
        return share * (2.0 - share)
    return share
