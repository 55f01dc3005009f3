"""Reads of rollups as they are kept, for replays."""

from __future__ import annotations

import time
from typing import Any, Final

from dashboard.history.levels import LEVELS
from dashboard.history.models import HourRollup, MinuteRollup, Rollup
from dashboard.history.sketches import unpack

_MODELS: Final = (Rollup, MinuteRollup, HourRollup)
MAX_ROWS: Final = 50_000


def rollups(
    service: str, breaker: str, from_: float, to: float, now: float | None = None
) -> tuple[int, list[dict[str, Any]]]:
    """The rollups of a breaker between two Unix times, oldest first, of the finest level that keeps
    the beginning: its step in seconds, and for each `start`, counts by outcome and `buckets`."""
    now = time.time() if now is None else now
    index = next((i for i, level in enumerate(LEVELS) if level.keeps(from_, now)), len(LEVELS) - 1)
    rows = _MODELS[index].objects.filter(
        service=service, breaker=breaker, start__gte=LEVELS[index].floor(from_), start__lt=to
    )
    found = [
        {
            "start": row.start,
            "success": row.success,
            "failure": row.failure,
            "timeout": row.timeout,
            "ignored": row.ignored,
            "rejected": row.rejected,
            "retry": row.retry,
            "fallback": row.fallback,
            "buckets": unpack(row.sketch),
        }
        for row in rows.order_by("start")[:MAX_ROWS]
    ]
    return LEVELS[index].step_s, found
