"""The snapshot that a page is rendered with, before its socket connects."""

from __future__ import annotations

from typing import Any

from dashboard.access.authority import Anyone, visible_services
from dashboard.fleet.snapshot.reads import service_names, summary_snapshot


def first_view(person: Anyone) -> dict[str, Any]:
    """The summary of every service that a person sees."""
    visible = visible_services(person)
    return summary_snapshot(None if visible.is_all else visible.among(service_names()))


def without_sparklines(person: Anyone) -> dict[str, Any]:
    """`first_view` without the last minute of each breaker."""
    shot = first_view(person)
    for service in shot["services"]:
        service["breakers"] = [
            {name: value for name, value in each.items() if name not in ("spark", "spark_err")}
            for each in service["breakers"]
        ]
    return shot
