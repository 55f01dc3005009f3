"""The fleet snapshot and its history as JSON, for pages and scripts."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from dashboard.access.authority import visible_services
from dashboard.api.browsers.query_parameters import Invalid, number, span
from dashboard.fleet.snapshot.process import fleet_snapshot
from dashboard.history import queries

_LONGEST_STEP_S = 30 * 86_400


def json_answer(body: object, status: int = 200) -> HttpResponse:
    """A body as JSON that nobody keeps."""
    response = HttpResponse(msgspec.json.encode(body), "application/json", status)
    response["Cache-Control"] = "no-store"
    return response


def validated(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Answer an invalid parameter with status 400, its field and what would be valid."""

    @wraps(view)
    def answer(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponse:
        try:
            return view(request, *arguments, **named)
        except Invalid as error:
            body = {"code": "invalid", "field": error.field, "message": str(error)}
            return json_answer(body, 400)

    return answer


@require_GET
def fleet(request: HttpRequest) -> HttpResponse:
    """The snapshot that a browser's socket begins with."""
    visible, found = visible_services(request.user), fleet_snapshot()
    return json_answer(found.snapshot(None if visible.is_all else visible.among(found.services)))


@require_GET
@validated
def history(
    request: HttpRequest, service: str | None = None, breaker: str | None = None
) -> HttpResponse:
    """The series of a breaker, of a service, or of the fleet; see `history.queries.series`.

    `range` is 5m, 15m, 1h, 6h, 24h, 7d or 30d; or `from` and `to` name the times. `step` asks for
    points at least so many seconds apart.
    """
    begin, end = span(request.GET)
    step = number(request.GET, "step", 0, 0, _LONGEST_STEP_S)
    return json_answer(queries.series(service, breaker, begin, end, step))


@require_GET
@validated
def sums(request: HttpRequest, service: str | None = None) -> HttpResponse:
    """The figures of each breaker over a range, of a service or of the fleet; see
    `history.queries.sums`."""
    begin, end = span(request.GET)
    return json_answer({"from": begin, "to": end, "breakers": queries.sums(begin, end, service)})


@require_GET
@validated
def transitions(request: HttpRequest) -> HttpResponse:
    """What changed state in a range (of 24 hours, if none is named), newest first; see
    `history.queries.timeline`.

    `service`, `breaker`, `instance` and `state` (more than once for several) narrow it; `limit` is
    at most 500, and `after` is the `next` of the page before.
    """
    begin, end = span(request.GET, "24h")
    query = request.GET
    try:
        found = queries.timeline(
            service=query.get("service"),
            breaker=query.get("breaker"),
            instance=query.get("instance"),
            states=query.getlist("state"),
            from_=begin,
            to=end,
            after=query.get("after", ""),
            limit=number(query, "limit", 50, 1, 500),
        )
    except queries.BadCursor as error:
        raise Invalid("after", str(error)) from None
    return json_answer({"from": begin, "to": end, **found})


@require_GET
@validated
def strips(request: HttpRequest, service: str, breaker: str) -> HttpResponse:
    """The states that each instance of a breaker was in; see `history.queries.strips`."""
    begin, end = span(request.GET)
    found = queries.strips(service, breaker, begin, end)
    return json_answer({"from": begin, "to": end, "instances": found})
