"""The compiled admission, and the one part that is not worth writing in C: awaiting."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from breakers.circuit import _admission
from breakers.circuit._admission import Ticket
from breakers.common.awaiting import mark_misuse

P = ParamSpec("P")
R = TypeVar("R")

__all__ = ["Admission", "Ticket"]


class Admission(_admission.Admission):
    """`breakers.circuit.admission_plain.Admission`, compiled."""

    async def acall(
        self, func: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """`call` for a coroutine function. A cancelled call is neither success nor failure."""
        begun = self._begin()
        if begun is None:
            return await func(*args, **kwargs)
        try:
            result = await func(*args, **kwargs)
        except BaseException as error:
            mark_misuse(error)
            self._end(begun, error)
            raise
        self._end(begun, None, result)
        return result
