"""The compiled gate, and the one thing that is not worth writing in C: awaiting."""

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
    """`breakers.circuit.admission_plain.Gate`, compiled."""

    async def acall(
        self, func: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """`call` for a coroutine function. A cancelled call is neither success nor failure."""
        ticket, start = self.enter()
        try:
            result = await func(*args, **kwargs)
        except BaseException as error:
            mark_misuse(error)
            self.leave(ticket, start, error)
            raise
        self.leave(ticket, start, None, result)
        return result
