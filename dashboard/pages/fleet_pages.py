"""Pages of the whole fleet beside the wall: the map, and the screen for the room."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from dashboard.pages.mirrored import snapshot

STATES: Final = (
    "closed", "open", "half_open", "forced_open", "forced_closed", "metrics_only", "stale",
)  # fmt: skip


@require_GET
def dependencies(request: HttpRequest) -> HttpResponse:
    """Which service depends on what, live."""
    return render(request, "pages/map.html", {"snapshot": snapshot(), "states": STATES})


@require_GET
def tv(request: HttpRequest) -> HttpResponse:
    """The fleet in big type, for a screen that nobody touches."""
    return render(request, "pages/tv.html", {"snapshot": snapshot()})
