"""The dependency map."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from dashboard.web.first_view import without_sparklines

STATES: Final = (
    "closed", "open", "half_open", "forced_open", "forced_closed", "metrics_only",
    "forced_partial", "stale",
)  # fmt: skip


@require_GET
def dependencies(request: HttpRequest) -> HttpResponse:
    """Which service depends on which other, live."""
    context = {"snapshot": without_sparklines(request.user), "states": STATES}
    return render(request, "pages/map.html", context)
