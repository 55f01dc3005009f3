"""Cursor pagination: a page continues after the last row of the page before (keyset)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

from django.db.models import Model, QuerySet
from ninja import Query

from dashboard.api.operators.problems import ApiError
from dashboard.common.keyset import after_row

Row = TypeVar("Row", bound=Model)
MAX_LIMIT: Final = 500
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows of a page.")]
Cursor = Annotated[str, Query(max_length=1000, description="`next` of the page before.")]


def page(
    query: QuerySet[Row],
    by: Sequence[str],
    cursor: str,
    limit: int,
    show: Callable[[Row], Any],
    *,
    newest_first: bool = True,
) -> dict[str, Any]:
    """One page of a query, ordered by the fields `by`, which together are unique.

    Raises:
        ApiError: 422 for a cursor that is not one of ours.
    """
    ordered = query.order_by(*([f"-{field}" for field in by] if newest_first else by))
    if cursor:
        ordered = ordered.filter(
            after_row(by, decode_cursor(cursor, by), newest_first=newest_first)
        )
    rows = list(ordered[: limit + 1])
    more = len(rows) > limit
    return {
        "items": [show(row) for row in rows[:limit]],
        "next": encode_cursor(rows[limit - 1], by) if more else None,
    }


def page_of_list(
    items: Sequence[Any], key: Callable[[Any], str], cursor: str, limit: int
) -> dict[str, Any]:
    """One page of a list that is sorted by a unique text."""
    after = decode_cursor(cursor, ("key",))["key"] if cursor else None
    rest = [each for each in items if after is None or key(each) > after][: limit + 1]
    more = len(rest) > limit
    return {"items": rest[:limit], "next": _encode([key(rest[limit - 1])]) if more else None}


def encode_cursor(row: Model, by: Sequence[str]) -> str:
    """The cursor that continues after a row."""
    values = [getattr(row, field) for field in by]
    return _encode([{"t": v.isoformat()} if isinstance(v, datetime) else v for v in values])


def _encode(values: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, by: Sequence[str]) -> dict[str, Any]:
    """The values of a cursor, by field."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        values = json.loads(text)
        if not isinstance(values, list) or len(values) != len(by):
            raise ValueError("not a list of the right length")
        found = [datetime.fromisoformat(v["t"]) if isinstance(v, dict) else v for v in values]
        if not all(isinstance(v, (str, int, datetime)) and v is not None for v in found):
            raise ValueError("not a value")
        if any(isinstance(v, int) and abs(v) >= 2**63 for v in found):
            raise ValueError("too large")
        if any(isinstance(v, datetime) and v.tzinfo is None for v in found):
            raise ValueError("no zone")
        if any(isinstance(v, str) and "\0" in v for v in found):
            raise ValueError("not text")
    except (ValueError, binascii.Error, KeyError, TypeError, UnicodeError, RecursionError):
        wrong = "This is not a cursor; use the `next` of a page."
        raise ApiError(422, "invalid", wrong, [("cursor", wrong)]) from None
    return dict(zip(by, found, strict=True))
