"""Deleting what is too old, a little at a time: neither a lock nor a transaction may grow with what
has piled up, and whoever is killed half-way has done half."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Model, QuerySet

_AT_ONCE: Final = 2000
_A_RUN: Final = 200_000


def sweep(old: QuerySet[Any, Any], at_once: int = _AT_ONCE, a_run: int = _A_RUN) -> int:
    """Delete these rows, `at_once` in each transaction and about `a_run` in all: the rest waits for
    the next time. Returns how many it were."""
    gone = 0
    rows: QuerySet[Model, Any] = old.order_by("pk").values_list("pk", flat=True)
    while gone < a_run and (some := list(rows[:at_once])):
        # Asked once more: one that was touched meanwhile is not old any longer.
        deleted = old.filter(pk__in=some).delete()[0]
        gone += deleted
        if not deleted or len(some) < at_once:
            break
    return gone
