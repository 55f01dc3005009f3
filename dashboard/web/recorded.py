"""Recorded calls on a breaker's page: those that opened it, and recordings of each call."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from breakers.protocol.messages import EVERY_BREAKER
from dashboard.access.models import Person
from dashboard.alerts.queries import markers
from dashboard.control import recordings as orders
from dashboard.history import recordings
from dashboard.history.models import Recording

_ROWS: Final = 20
_MARKERS: Final = 20
# The picture, in the units of its viewBox.
WIDTH: Final = 600
HEIGHT: Final = 140
_MARGIN: Final = 8
_LEAST_MS: Final = 0.1


@dataclass(frozen=True, slots=True)
class ShownCall:
    """A call in the table and in the chart."""

    before_s: float
    outcome: str
    latency_ms: float
    attempt: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class ShownTrip:
    """The calls that opened a breaker at one instance. `calls` are oldest first, in the order in
    which they ended; `latest` are the last of them, newest first. `markers` are deploys and the
    like meanwhile: where they are drawn, and what they say."""

    row: Recording
    calls: list[ShownCall]
    latest: list[ShownCall]
    sentence: str
    span_s: float
    slowest_ms: float
    markers: list[tuple[float, str]]


def latest_trip(service: str, breaker: str) -> ShownTrip | None:
    """The calls of the latest trip that was recorded."""
    found = recordings.trips(service, breaker, 1)
    return _shown(found[0]) if found else None


def _shown(row: Recording) -> ShownTrip:
    calls = list(recordings.calls_of(row))
    span = max(0.001, row.start - min(call.at for call in calls))
    slowest = max(_LEAST_MS, *(call.seconds * 1000 for call in calls))
    steps = math.log10(slowest / _LEAST_MS) or 1.0
    shown = [
        ShownCall(
            before_s=row.start - call.at,
            outcome=call.outcome,
            latency_ms=call.seconds * 1000,
            attempt=call.attempt,
            x=_place(row.start - call.at, span),
            y=round(
                HEIGHT
                - _MARGIN
                - (HEIGHT - 2 * _MARGIN)
                * max(0.0, math.log10(max(_LEAST_MS, call.seconds * 1000) / _LEAST_MS))
                / steps,
                1,
            ),
        )
        for call in calls
    ]
    marked = [
        (_place(row.start - each.at, span), each.text)
        for each in markers(row.start - span, row.start, row.service, _MARKERS)
    ]
    return ShownTrip(
        row, shown, shown[: -_ROWS - 1 : -1], _sentence(row, calls), span, slowest, marked
    )


def _place(before_s: float, span_s: float) -> float:
    """Where a moment before the trip is in the picture."""
    return round(_MARGIN + (WIDTH - 2 * _MARGIN) * (1 - before_s / span_s), 1)


def _sentence(row: Recording, calls: list[recordings.Call]) -> str:
    counts = Counter(call.outcome for call in calls)
    outcomes = ", ".join(f"{n} {name}" for name, n in counts.most_common())
    return f"{row.instance} opened: {row.cause}. Its last {len(calls)} calls: {outcomes}."


def context(service: str, breaker: str) -> dict[str, Any]:
    """What the page of a breaker shows of recordings."""
    return {
        "trip": latest_trip(service, breaker),
        "recordings": recordings.summary(service, breaker),
        "recording": orders.standing(service, breaker).first(),
        "trip_box": f"0 0 {WIDTH} {HEIGHT}",
    }


@require_POST
def record(request: HttpRequest, service: str, breaker: str) -> HttpResponse:
    """Record each call of a breaker (`*`: of all of the service) for 10 minutes, or stop the
    recording that `stop` names."""
    person = request.user
    if not isinstance(person, Person):
        raise PermissionDenied("Operators only.")
    try:
        if stopped := request.POST.get("stop", ""):
            orders.stop(person, service, stopped[:32].replace("\0", ""))
        else:
            orders.record(person, service, breaker, reason=request.POST.get("reason", ""))
    except ValidationError as error:
        refused = {"messages_here": error.messages}
        return render(request, "pages/policy_refused.html", refused, status=422)
    if breaker == EVERY_BREAKER:
        return redirect("service", service=service)
    return redirect("breaker", service=service, breaker=breaker)
