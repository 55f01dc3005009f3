"""Pages of the whole fleet beside the wall: the map, and the screen for the room."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from dashboard.fleet.snapshot.reads import lean_snapshot

STATES: Final = (
    "closed", "open", "half_open", "forced_open", "forced_closed", "metrics_only", "stale",
)  # fmt: skip


@require_GET
def dependencies(request: HttpRequest) -> HttpResponse:
    """Which service depends on what, live."""
    return render(request, "pages/map.html", {"snapshot": _bare(), "states": STATES})


@require_GET
def tv(request: HttpRequest) -> HttpResponse:
    """The fleet in big type, for a screen that nobody touches."""
    return render(request, "pages/tv.html", {"snapshot": _bare()})


def _bare() -> dict[str, Any]:
    """Everything known now, without the sparklines, which these pages do not draw."""
    shot = lean_snapshot()
    for service in shot["services"]:
        service["breakers"] = [
            {name: value for name, value in each.items() if name not in ("spark", "spark_err")}
            for each in service["breakers"]
        ]
    return shot
