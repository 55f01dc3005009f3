"""Deletes old rows in batches, so that no lock or transaction grows with the number of rows. An
interrupted run keeps the batches that it has deleted."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Model, QuerySet

_AT_ONCE: Final = 2000
_A_RUN: Final = 200_000


def sweep(old: QuerySet[Any, Any], at_once: int = _AT_ONCE, a_run: int = _A_RUN) -> int:
    """Delete these rows, `at_once` in each transaction and about `a_run` in all; the rest is left
    for the next run. Returns the number of deleted rows."""
    gone = 0
    rows: QuerySet[Model, Any] = old.order_by("pk").values_list("pk", flat=True)
    while gone < a_run and (some := list(rows[:at_once])):
        # Filter again: a row that was updated meanwhile is no longer old.
        deleted = old.filter(pk__in=some).delete()[0]
        gone += deleted
        if not deleted or len(some) < at_once:
            break
    return gone
