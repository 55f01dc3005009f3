"""Reads of overrides, their acknowledgements and acts."""

from django.db.models import QuerySet
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


def recent_reasons(limit: int = 5) -> list[str]:
    """The reasons given last, to offer again."""
    rows = Override.objects.values_list("reason", flat=True)[:50]
    return list(dict.fromkeys(rows))[:limit]
