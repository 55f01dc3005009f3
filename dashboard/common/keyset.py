"""Reading many rows in order, a page at a time, without holding a cursor open between pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from django.db.models import Model, Q, QuerySet

Row = TypeVar("Row", bound=Model)


def walk(
    query: QuerySet[Row], by: Sequence[str], *, oldest_first: bool, page: int = 1000
) -> Iterator[Row]:
    """The rows of a query in the order of the fields `by`, which together are different for each.

    Each page is one query that continues after the last row of the page before.
    """
    rest = query.order_by(*(by if oldest_first else [f"-{field}" for field in by]))
    after = Q()
    while True:
        rows = list(rest.filter(after)[:page])
        yield from rows
        if len(rows) < page:
            return
        last = {field: getattr(rows[-1], field) for field in by}
        after = after_row(by, last, newest_first=not oldest_first)


def after_row(by: Sequence[str], last: Mapping[str, object], *, newest_first: bool) -> Q:
    """The rows that follow the row with the values `last`."""
    beyond = "lt" if newest_first else "gt"
    # This first condition follows from the others; indexes and partitions are chosen by it.
    return Q(**{f"{by[0]}__{beyond}e": last[by[0]]}) & _after(by, last, beyond)


def _after(by: Sequence[str], last: Mapping[str, object], beyond: str) -> Q:
    found = Q()
    for n, field in enumerate(by):
        same = {each: last[each] for each in by[:n]}
        found |= Q(**same, **{f"{field}__{beyond}": last[field]})
    return found
