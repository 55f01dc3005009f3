"""Markers as events of the timeline."""

from __future__ import annotations

from collections.abc import Iterator

from dashboard.alerts.models import Marker
from dashboard.timeline.events import Event, Wanted, add_source

_PIECE = 200


def marker_events(wanted: Wanted, oldest_first: bool) -> Iterator[Event]:
    """The markers of a range. Those without a service belong to every service."""
    rows = Marker.objects.filter(at__gte=wanted.since, at__lte=wanted.until)
    if wanted.service:
        rows = rows.filter(service__in=[wanted.service, ""])
    if wanted.who:
        rows = rows.filter(by=wanted.who)
    order = ("at", "id") if oldest_first else ("-at", "-id")
    return map(_event, rows.order_by(*order).iterator(_PIECE))


def _event(row: Marker) -> Event:
    return Event(
        id=f"m{row.pk}",
        at=row.at,
        kind="marker",
        service=row.service,
        breaker="",
        title=row.text,
        why=row.kind if row.kind != "other" else "",
        who=row.by,
        until=row.at,
        detail={name: value for name, value in (("version", row.version), ("url", row.url))
                if value},
    )  # fmt: skip


add_source("marker", marker_events)
