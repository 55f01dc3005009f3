"""The live state and its history as JSON, for pages and scripts."""

from __future__ import annotations

import msgspec
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from dashboard.history import queries
from dashboard.live.here import mirror

RANGES = {"5m": 300, "15m": 900, "1h": 3600, "6h": 21_600, "24h": 86_400}


def _json(body: object, status: int = 200) -> HttpResponse:
    response = HttpResponse(msgspec.json.encode(body), "application/json", status)
    response["Cache-Control"] = "no-store"
    return response


@require_GET
def fleet(request: HttpRequest) -> HttpResponse:
    """The snapshot that a browser's socket begins with."""
    return _json(mirror().snapshot())


@require_GET
def history(request: HttpRequest, service: str, breaker: str) -> HttpResponse:
    """The series of one breaker; `range` is 5m, 15m, 1h, 6h or 24h."""
    asked = request.GET.get("range", "15m")
    if asked not in RANGES:
        known = ", ".join(RANGES)
        message = f"{asked[:20]!r} is no range; there are {known}"
        return _json({"code": "invalid", "field": "range", "message": message}, 400)
    return _json(queries.series(service, breaker, RANGES[asked]))
