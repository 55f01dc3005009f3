"""Writes of outages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dashboard.common.batch_deletion import sweep
from dashboard.fleet.outages import OutageRow
from dashboard.history.models import Outage

_FIELDS: Final = (
    "service", "breaker", "began", "cause", "instance", "instances", "failed_tests",
    "passed_tests", "refused", "ended", "ended_as", "open_at",
)  # fmt: skip


def keep(rows: Iterable[OutageRow]) -> None:
    """Store outages as they are now, inside the caller's transaction."""
    found = [
        Outage(id=row.id, **{name: getattr(row, name) for name in _FIELDS})
        for row in sorted(rows, key=lambda row: row.id)
    ]
    if found:
        Outage.objects.bulk_create(
            found, update_conflicts=True, unique_fields=["id"], update_fields=_FIELDS
        )


def prune(horizon: float) -> int:
    """Delete outages that ended before a Unix time; the number of them."""
    return sweep(Outage.objects.filter(ended__lt=horizon))
