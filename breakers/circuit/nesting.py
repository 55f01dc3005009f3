"""Calls through a breaker that are made inside another call through the same breaker.

One logical call holds one permit and is counted once: the outer call is admitted and recorded, the
inner one passes. Admission finds a nested call in the same context by itself. A probe is also
marked in a context variable, so that the threads and tasks which the callee starts pass with it.
"""

from __future__ import annotations

import gc
from contextvars import ContextVar
from math import inf
from threading import get_ident
from typing import Final

from breakers.circuit.admission import Ticket
from breakers.common.uninterruptible import uninterruptible

# The probes that this context runs inside of: breaker's id and ticket.
_probes: ContextVar[tuple[tuple[int, Ticket], ...]] = ContextVar("breakers_probes", default=())
_NESTED: Final = -1.0


def nested_ticket() -> Ticket:
    """The ticket of a call that is not counted."""
    return Ticket(plain_below=-1.0, edge=inf, batch=1, lease=_NESTED)


@uninterruptible
def mark_probe(breaker: object, ticket: Ticket) -> None:
    """Note that this context, and what it starts, is inside a probe.

    A finaliser that the collector runs is left out: it may run while another context variable is
    being set, and CPython's cache of context variables does not survive that.
    """
    if _collecting_thread == get_ident():
        return
    running = tuple(each for each in _probes.get() if not each[1].is_ended)
    _probes.set((*running, (id(breaker), ticket)))


def _note_collection(phase: str, info: object) -> None:
    global _collecting_thread
    _collecting_thread = get_ident() if phase == "start" else 0


_collecting_thread = 0
gc.callbacks.append(_note_collection)


def is_nested(breaker: object) -> bool:
    """Whether this context is inside a probe of the breaker that has not ended."""
    return any(id(breaker) == owner and not ticket.is_ended for owner, ticket in _probes.get())
