"""Reads of outages."""

from __future__ import annotations

import math
import time
from collections.abc import Collection

from django.db.models import Q, QuerySet

from dashboard.fleet.outages import GONE_AFTER_S, OutageRow
from dashboard.history.models import Outage


def outages(
    since: float,
    until: float = math.inf,
    *,
    service: str = "",
    breaker: str = "",
    services: Collection[str] | None = None,
    limit: int = 500,
) -> list[Outage]:
    """The outages that overlap a range of Unix times, newest first: of all breakers, or of those
    that are named. `services` narrows them to these."""
    rows = _named(service, breaker).filter(Q(ended__isnull=True) | Q(ended__gte=since))
    if math.isfinite(until):
        rows = rows.filter(began__lt=until)
    if services is not None:
        rows = rows.filter(service__in=services)
    return list(rows[:limit])


def open_outages(service: str = "", breaker: str = "", limit: int = 5000) -> list[Outage]:
    """The outages that last, newest first."""
    return list(_named(service, breaker).filter(ended__isnull=True)[:limit])


def outage(id: str) -> Outage | None:
    """One outage."""
    return Outage.objects.filter(pk=id).first()


def resumable_outages(services: Collection[str]) -> list[OutageRow]:
    """The outages of these services that last, or ended so lately that they may continue."""
    recent = Q(ended__isnull=True) | Q(ended__gte=time.time() - GONE_AFTER_S)
    latest: dict[tuple[str, str], Outage] = {}
    for row in Outage.objects.filter(recent).order_by("began").iterator():
        if row.service in services:
            latest[row.service, row.breaker] = row
    return [_stored(row) for row in latest.values()]


def _named(service: str, breaker: str) -> QuerySet[Outage]:
    named = {"service": service, "breaker": breaker}
    return Outage.objects.filter(**{field: name for field, name in named.items() if name})


def _stored(row: Outage) -> OutageRow:
    return OutageRow(
        id=row.id,
        service=row.service,
        breaker=row.breaker,
        began=row.began,
        cause=row.cause,
        instance=row.instance,
        instances=row.instances,
        failed_tests=row.failed_tests,
        passed_tests=row.passed_tests,
        refused=row.refused,
        ended=row.ended,
        ended_as=row.ended_as,
        open_at=row.open_at,
    )
