"""Liveness, readiness and metrics endpoints. They need no session."""

from __future__ import annotations

import secrets
from typing import Final

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from dashboard.bus import bus
from dashboard.observability import metrics as telemetry
from dashboard.observability.process_metrics import does_not_tick
from dashboard.runtime.embedded import embedded

# The fleet worker is late when reports of this age are not stored.
_LAG_ALLOWED_S: Final = 15.0


@login_not_required
async def healthz(request: HttpRequest) -> JsonResponse:
    """200 while the process answers at all."""
    return JsonResponse({"status": "ok"})


@login_not_required
async def readyz(request: HttpRequest) -> JsonResponse:
    """200 while database and bus answer and the fleet keeps up, else 503 with what is wrong.

    For monitoring, and for scripts that wait for the start. A load balancer checks `/healthz`:
    while the fleet worker lags, this process still serves pages and accepts reports.
    """
    checks = {"database": await database_sync_to_async(_database)(), "bus": "ok", "fleet": "ok"}
    lag_s = 0.0
    try:
        await bus().check()
        lag_s = await bus().lag()
    except Exception as error:
        checks["bus"] = f"{type(error).__name__}: {error}"[:200]
    if settings.EMBEDDED and does_not_tick(embedded.worker):
        checks["fleet"] = "the fleet does not tick"
    elif lag_s > _LAG_ALLOWED_S:
        checks["fleet"] = f"reports of {lag_s:.0f} s ago are not stored yet"
    ready = all(check == "ok" for check in checks.values())
    body = {
        "status": "ok" if ready else "unfit",
        "checks": checks,
        "log_depth": bus().depth(),
        "fleet_lag_s": round(lag_s, 3),
    }
    return JsonResponse(body, status=200 if ready else 503)


@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Metrics of this process in Prometheus' text format. Requires SWITCHGEAR_METRICS_TOKEN or a
    session, unless SWITCHGEAR_METRICS=open."""
    if not (settings.METRICS == "open" or request.user.is_authenticated or _has_token(request)):
        return HttpResponse(
            "Send the token of SWITCHGEAR_METRICS_TOKEN: Authorization: Bearer …\n",
            content_type="text/plain; charset=utf-8",
            status=401,
            headers={"WWW-Authenticate": "Bearer"},
        )
    return HttpResponse(generate_latest(telemetry.registry), content_type=CONTENT_TYPE_LATEST)


def _has_token(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    expected = settings.METRICS_TOKEN
    return (
        bool(expected)
        and scheme.lower() == "bearer"
        and secrets.compare_digest(token.strip().encode(), expected.encode())
    )


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200]
    return "ok"
