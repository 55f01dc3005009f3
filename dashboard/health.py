"""Whether the process is alive, and whether it is fit to serve. Asked by machines: no session."""

from __future__ import annotations

import time
from typing import Final

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.http import HttpRequest, JsonResponse

from dashboard.bus import bus
from dashboard.embedded import embedded

_TICKS_ALLOWED: Final = 20


@login_not_required
async def healthz(request: HttpRequest) -> JsonResponse:
    """200 while the process answers at all."""
    return JsonResponse({"status": "ok"})


@login_not_required
async def readyz(request: HttpRequest) -> JsonResponse:
    """200 while database and bus answer and an embedded fleet ticks, else 503 with what fails."""
    checks = {"database": await database_sync_to_async(_database)(), "bus": await _bus()}
    if settings.EMBEDDED:
        worker = embedded.worker
        late = time.monotonic() - worker.last_tick if worker else float("inf")
        is_late = late > settings.TICK_S * _TICKS_ALLOWED
        checks["fleet"] = "the fleet does not tick" if is_late else "ok"
    ready = all(check == "ok" for check in checks.values())
    body = {"status": "ok" if ready else "unfit", "checks": checks, "log_depth": bus().depth()}
    return JsonResponse(body, status=200 if ready else 503)


async def _bus() -> str:
    try:
        await bus().check()
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200]
    return "ok"


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200]
    return "ok"
