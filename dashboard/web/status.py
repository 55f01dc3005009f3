"""The public status page of a link: the level of each service, without a login."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any, Final

from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from dashboard.access.models import StatusLink
from dashboard.access.status_links import status_link
from dashboard.fleet import status_levels
from dashboard.fleet.dependents import all_declared
from dashboard.fleet.snapshot.reads import snapshot
from dashboard.history import queries as history

_KEPT_S: Final = 5
_BACK_S: Final = 7 * 86_400
_MOST_CHANGES: Final = 5000


@login_not_required
@require_GET
def status(request: HttpRequest, token: str) -> HttpResponse:
    """The page with its first data."""
    link = status_link(token)
    if link is None:
        return _private(render(request, "pages/status_gone.html", status=404))
    return _private(render(request, "pages/status.html", {"shown": _shown(link)}))


@login_not_required
@require_GET
def status_now(request: HttpRequest, token: str) -> HttpResponse:
    """The same data as JSON, polled by the page."""
    link = status_link(token)
    if link is None:
        return _private(
            JsonResponse({"code": "gone", "message": "This link has expired."}, status=404)
        )
    return _private(JsonResponse(_shown(link)))


def _shown(link: StatusLink) -> dict[str, Any]:
    everything = cache.get_or_set("status", services_in_plain_words, _KEPT_S) or []
    wanted = None if link.services is None else set(link.services)
    services = [each for each in everything if wanted is None or each["name"] in wanted]
    present = {each["name"] for each in services}
    # A service of the link that never reported is listed as silent.
    services += [
        status_levels.status_of(name, "silent", None)
        for name in sorted((wanted or set()) - present)
    ]
    worst, line = status_levels.headline(services)
    return {"at": time.time(), "level": worst, "headline": line, "services": services}


def services_in_plain_words() -> list[status_levels.ServiceStatus]:
    """Every service, worst first."""
    shot = snapshot()["services"]
    guarding: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for service in shot:
        for breaker in service["breakers"]:
            guarding[breaker["name"]].append(breaker)
    found = []
    declared = all_declared()
    for service in shot:
        name = service["name"]
        callers = [each for each in guarding[name] if each["service"] != name]
        if (known := declared.get(name)) is not None:
            callers = [each for each in callers if each["service"] in known.dependents]
        level = status_levels.level(service, callers, known)
        relevant = callers if level == "disrupted" else [*service["breakers"], *callers]
        found.append(status_levels.status_of(name, level, _since(level, relevant)))
    return sorted(found, key=status_levels.order)


def _since(level: str, breakers: list[dict[str, Any]]) -> float | None:
    if level == "working":
        return status_levels.calm_since(breakers)
    if level == "silent":
        return None
    pairs = {(each["service"], each["name"]) for each in breakers}
    changes = history.latest_of(pairs, time.time() - _BACK_S, _MOST_CHANGES)
    return status_levels.bad_since(breakers, changes)


def _private(response: HttpResponse) -> HttpResponse:
    """The address is a secret: it must not be cached, indexed or sent as a referrer."""
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex"
    return response
