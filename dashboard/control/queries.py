"""Reads of overrides, their acknowledgements and acts."""

from datetime import UTC, datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from breakers.protocol import messages as wire
from dashboard.control.models import Override
from dashboard.fleet.frame_types import OverrideInfo


def standing(service: str | None = None) -> QuerySet[Override]:
    """The overrides in force, of one service or of all."""
    found = Override.objects.filter(ended=None, expires__gt=timezone.now())
    return found if service is None else found.filter(service=service)


def active_overrides(service: str) -> list[wire.Override]:
    """The overrides in force as agents receive them; expiries count from now."""
    now = timezone.now()
    return [
        wire.Override(
            id=row.id,
            breaker=row.breaker,
            state=row.state,
            instances=row.instances,
            expires_in_s=(row.expires - now).total_seconds(),
            share=row.share,
        )
        for row in standing(service)
    ]


def override_infos() -> list[OverrideInfo]:
    """The overrides in force as pages show them, of every service."""
    return [
        OverrideInfo(
            id=row.id,
            service=row.service,
            breaker=row.breaker,
            instances=row.instances,
            state=row.state,
            reason=row.reason,
            by=row.by,
            revision=row.revision,
            expires_at=row.expires.timestamp(),
            created_at=row.created.timestamp(),
            share=row.share,
        )
        for row in standing()
    ]


def recent(service: str, breaker: str, limit: int = 20) -> QuerySet[Override]:
    """The latest overrides of a breaker, ended ones too, with their acknowledgements."""
    rows = Override.objects.filter(service=service, breaker=breaker)
    return rows.prefetch_related("acks")[:limit]


def overlapping(
    service: str, breaker: str, since: float, until: float, limit: int
) -> list[Override]:
    """The overrides of a breaker that stood at some time of a range of Unix times, newest first."""
    began = Q(created__lte=_datetime(until), service=service, breaker=breaker)
    lasts = Q(ended=None) | Q(ended__gte=_datetime(since))
    return list(Override.objects.filter(began & lasts)[:limit])


def in_force_at(at: float, limit: int = 5000) -> list[dict[str, Any]]:
    """The overrides that stood at a Unix time, each with its `view` as frames have it. How many
    instances had confirmed it by then is not kept."""
    moment = _datetime(at)
    rows = Override.objects.filter(created__lte=moment, expires__gt=moment)
    return [
        {
            "service": row.service,
            "breaker": row.breaker,
            "state": row.state,
            "instances": row.instances,
            "view": {
                "id": row.id,
                "state": row.state,
                "share": row.share,
                "reason": row.reason,
                "by": row.by,
                "created_at": row.created.timestamp(),
                "expires_at": row.expires.timestamp(),
                "applied": 0,
                "total": 0,
                "pending": [],
                "refused": [],
            },
        }
        for row in rows.exclude(ended__lte=moment)[:limit]
    ]


def _datetime(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def recent_reasons(limit: int = 5) -> list[str]:
    """The reasons that people gave last, to offer again. Rules and drills, which no person is, have
    spaces in their names."""
    rows = Override.objects.exclude(by__contains=" ").values_list("reason", flat=True)[:50]
    return list(dict.fromkeys(rows))[:limit]
