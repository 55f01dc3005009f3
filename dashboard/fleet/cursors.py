"""The last stored report of each incarnation: one row each, written at each checkpoint.

Ten thousand instances are ten thousand rows a second, so PostgreSQL gets them as arrays in one
statement: through the models, making the rows costs a worker more than counting the reports does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import msgspec
from django.db import connection
from django.utils import timezone

from dashboard.fleet.checkpoint_batch import CursorKey
from dashboard.fleet.models import Cursor
from dashboard.fleet.sequence_gaps import Gaps

_KEY: Final = ("service", "instance", "boot")
_VALUES: Final = ("seq", "gaps", "at")
_TABLE: Final = Cursor._meta.db_table
_AT_ONCE: Final = f"""
INSERT INTO "{_TABLE}" ("service", "instance", "boot", "seq", "gaps", "at")
SELECT "service", "instance", "boot", "seq", "gaps"::jsonb, %s
  FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[])
    AS new ("service", "instance", "boot", "seq", "gaps")
ON CONFLICT ("service", "instance", "boot")
DO UPDATE SET "seq" = excluded."seq", "gaps" = excluded."gaps", "at" = excluded."at"
"""  # noqa: S608 - the table's name is ours


def keep_cursors(cursors: Mapping[CursorKey, int], gaps: Mapping[CursorKey, Gaps]) -> None:
    """Say up to which report each instance's counts are stored, and which below are missing, in the
    transaction that stores them."""
    if not cursors:
        return
    if connection.vendor == "postgresql":
        _keep_at_once(cursors, gaps, timezone.now())
    else:
        _keep_each(cursors, gaps, timezone.now())


def _keep_at_once(
    cursors: Mapping[CursorKey, int], gaps: Mapping[CursorKey, Gaps], now: datetime
) -> None:
    # In one order for all workers, so that none waits for another that waits for it.
    keys = sorted(cursors)
    services, instances, boots = map(list, zip(*keys, strict=True))
    missing = [msgspec.json.encode(gaps[key]).decode() if key in gaps else "[]" for key in keys]
    with connection.cursor() as cursor:
        cursor.execute(
            _AT_ONCE, [now, services, instances, boots, [cursors[key] for key in keys], missing]
        )


def _keep_each(
    cursors: Mapping[CursorKey, int], gaps: Mapping[CursorKey, Gaps], now: datetime
) -> None:
    Cursor.objects.bulk_create(
        [
            Cursor(
                service=key[0],
                instance=key[1],
                boot=key[2],
                seq=seq,
                gaps=gaps.get(key, ()),
                at=now,
            )
            for key, seq in cursors.items()
        ],
        update_conflicts=True,
        unique_fields=_KEY,
        update_fields=_VALUES,
    )


def cursors_of(services: Iterable[str]) -> dict[CursorKey, int]:
    """The cursors of every incarnation of these services that may still send something again."""
    rows = Cursor.objects.filter(service__in=services)
    return {
        (service, instance, boot): seq
        for service, instance, boot, seq in rows.values_list("service", "instance", "boot", "seq")
    }


def gaps_of(services: Iterable[str]) -> dict[CursorKey, Gaps]:
    """What is missing below those cursors, where anything is."""
    rows = Cursor.objects.filter(service__in=services).exclude(gaps=[])
    return {
        (service, instance, boot): tuple((first, last) for first, last in found)
        for service, instance, boot, found in rows.values_list(
            "service", "instance", "boot", "gaps"
        )
    }
