"""Parses and validates the query parameters of history endpoints."""

from __future__ import annotations

import math
import time
from datetime import datetime
from typing import Final

from django.http import QueryDict
from django.utils.timezone import make_aware

RANGES: Final = {
    "5m": 300,
    "15m": 900,
    "1h": 3600,
    "6h": 21_600,
    "24h": 86_400,
    "7d": 7 * 86_400,
    "30d": 30 * 86_400,
}
_LATEST: Final = 4_102_444_800  # the year 2100


class Invalid(ValueError):
    """An invalid parameter: the field, the value, and what would be valid."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def span(query: QueryDict, default: str = "15m") -> tuple[float, float]:
    """The range of Unix times: `range` up to now, or `from` and `to` (which is now if it is
    missing), each as Unix seconds or as ISO 8601.

    Raises:
        Invalid: a value is not a time, or the range ends before it begins.
    """
    now = time.time()
    if "from" not in query:
        name = query.get("range", default)
        if name not in RANGES:
            known = ", ".join(RANGES)
            raise Invalid("range", f"{name[:20]!r} is no range; there are {known}")
        return now - RANGES[name], now
    begin = _moment("from", query.get("from", ""))
    end = _moment("to", query.get("to", "")) if "to" in query else now
    if not begin < end:
        raise Invalid("to", f"{query.get('to', 'now')[:40]!r} is not after from")
    return begin, end


def moment_of(query: QueryDict, field: str) -> float:
    """A time, as Unix seconds or as ISO 8601.

    Raises:
        Invalid: the value is not a time.
    """
    return _moment(field, query.get(field, ""))


def _moment(field: str, text: str) -> float:
    try:
        at = float(text)
    except ValueError:
        try:
            parsed = datetime.fromisoformat(text)
            at = (parsed if parsed.tzinfo else make_aware(parsed)).timestamp()
        except (ValueError, OverflowError):
            at = math.nan
    if not 0 <= at <= _LATEST:
        right = "Unix seconds or ISO 8601, such as 2026-11-24T02:47:00Z"
        raise Invalid(field, f"{text[:40]!r} is no time; it must be {right}")
    return at


def number(query: QueryDict, field: str, default: int, low: int, high: int) -> int:
    """A whole number within bounds.

    Raises:
        Invalid: the value is not a whole number, or out of bounds.
    """
    text = query.get(field, str(default))
    if not text.isascii() or not text.isdigit() or not low <= int(text[:20]) <= high:
        raise Invalid(
            field, f"{text[:20]!r} cannot be; it must be a whole number from {low} to {high}"
        )
    return int(text)
