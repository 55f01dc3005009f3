"""Stores acknowledgements: one row for each override and instance, the latest answer.

After one action thousands of instances answer at once, so PostgreSQL gets them as arrays in one
statement: making the rows through the models takes longer than storing them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from django.db import connection
from django.utils import timezone

from dashboard.control.models import Ack, Override

_AT_ONCE: Final = f"""
INSERT INTO "{Ack._meta.db_table}" ("override_id", "instance", "status", "reason", "at", "first")
SELECT override."id", new."instance", new."status", new."reason", now."now", now."now"
  FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
    AS new ("service", "id", "instance", "status", "reason")
  JOIN "{Override._meta.db_table}" AS override
    ON override."id" = new."id" AND override."service" = new."service"
 CROSS JOIN (SELECT %s::timestamptz AS "now") AS now
ON CONFLICT ("override_id", "instance")
DO UPDATE SET "status" = excluded."status", "reason" = excluded."reason", "at" = excluded."at"
"""  # noqa: S608 - the names of the tables are ours


class Answer(NamedTuple):
    """What one instance answered to one override of a service."""

    service: str
    override: str
    instance: str
    status: str
    reason: str


def store(answers: Sequence[Answer]) -> None:
    """Store answers to overrides that exist; others are dropped. No pair occurs twice."""
    if not answers:
        return
    if connection.vendor == "postgresql":
        # In one order for all processes, so that none waits for another that waits for it.
        columns = zip(*sorted(answers), strict=True)
        with connection.cursor() as cursor:
            cursor.execute(_AT_ONCE, [*map(list, columns), timezone.now()])
        return
    ids = {each.override for each in answers}
    known = set(Override.objects.filter(id__in=ids).values_list("service", "id"))
    now = timezone.now()
    Ack.objects.bulk_create(
        [
            Ack(
                override_id=each.override,
                instance=each.instance,
                status=each.status,
                reason=each.reason,
                at=now,
            )
            for each in answers
            if (each.service, each.override) in known
        ],
        update_conflicts=True,
        unique_fields=["override", "instance"],
        update_fields=["status", "reason", "at"],
    )
