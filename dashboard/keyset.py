"""Reading many rows in order, a page at a time, without holding a cursor open between pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet

Row = TypeVar("Row", bound=Model)


def walk(
    query: QuerySet[Row], *, oldest_first: bool, at: str = "at", page: int = 1000
) -> Iterator[Row]:
    """The rows of a query by their time, and among those of one time by their id.

    Each page is one query that continues after the last row of the page before.
    """
    order, beyond = ((at, "id"), "gt") if oldest_first else ((f"-{at}", "-id"), "lt")
    rest = query.order_by(*order)
    after: Any = Q()
    while True:
        rows = list(rest.filter(after)[:page])
        yield from rows
        if len(rows) < page:
            return
        moment, id = getattr(rows[-1], at), rows[-1].pk
        after = Q(**{f"{at}__{beyond}": moment}) | Q(**{at: moment, f"id__{beyond}": id})
