"""The fleet at one moment of the kept history, for the time machine of wall, map and TV."""

from __future__ import annotations

import time
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from dashboard.access.authority import visible_services
from dashboard.api.browsers.query_parameters import Invalid, moment_of, span
from dashboard.api.browsers.views import json_answer, validated
from dashboard.control import queries as control
from dashboard.fleet.services import revisions
from dashboard.fleet.view_builders import SEVERITY
from dashboard.history import queries as history

_STRIP: Final = 1000
_NOTHING: Final = {"instances": 0, "breakers": 0}


@require_GET
@validated
def moment(request: HttpRequest) -> HttpResponse:
    """A snapshot of what the person sees of the fleet at the time `at`, in the shape of the live
    one; `step_s` says of how many seconds its figures are. Which instances there were is not kept:
    `instances` is empty, and `states` counts those whose state is known."""
    at, now = moment_of(request.GET, "at"), time.time()
    if at > now:
        raise Invalid("at", f"{request.GET['at'][:40]!r} has not come yet")
    step_s, found = history.moment(at, now)
    overrides = {(each["service"], each["breaker"]): each for each in control.in_force_at(at)}
    visible = visible_services(request.user)
    services: dict[str, list[dict[str, Any]]] = {}
    for (service, breaker), each in sorted(found.items()):
        if service not in visible:
            continue
        override = overrides.get((service, breaker))
        view = _view(breaker, each, override)
        services.setdefault(service, []).append(view)
    return json_answer(
        {
            "type": "snapshot",
            "at": at,
            "now": at,
            "step_s": step_s,
            "services": [_service(name, views, step_s) for name, views in services.items()],
        }
    )


def _service(name: str, views: list[dict[str, Any]], step_s: int) -> dict[str, Any]:
    return {
        "name": name,
        "seq": 0,
        "interval_s": float(step_s),
        "over_capacity": _NOTHING,
        "instances": [],
        "breakers": views,
    }


def _view(
    name: str, each: history.BreakerMoment, override: dict[str, Any] | None
) -> dict[str, Any]:
    states = each.states
    state = next((known for known in SEVERITY if known in states), "closed")
    if override is not None and override["instances"] is None:
        state, states = override["state"], {}
    return {
        "name": name,
        "state": state,
        "states": states,
        **each.figures,
        "spark": each.minute[0],
        "spark_err": each.minute[1],
        "last": each.last,
        "override": override and override["view"],
        "outage": each.outage,
    }


@require_GET
@validated
def moments(request: HttpRequest) -> HttpResponse:
    """What the scrubber shows: since when history is kept, and the outages of a range (of 24 hours,
    if none is named), the latest 1,000."""
    begin, end = span(request.GET, "24h")
    visible = visible_services(request.user)
    names = None if visible.is_all else visible.among(revisions())
    rows = history.outages(begin, end, services=names, limit=_STRIP)
    outages = [
        {"service": row.service, "breaker": row.breaker, "began": row.began, "ended": row.ended}
        for row in rows
    ]
    return json_answer({"from": begin, "to": end, "oldest": history.oldest(), "outages": outages})
