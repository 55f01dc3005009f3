"""Annotations for Grafana: outages, overrides and markers, as its JSON datasources ask for them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final

from ninja import Router, Schema

from dashboard.access.authority import visible_services
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import ApiError, Problem
from dashboard.timeline.event_text import said
from dashboard.timeline.events import Event, Wanted, events, together

router = Router(tags=["grafana"])
ERRORS = dict.fromkeys((401, 403, 422, 429), Problem)
_KINDS: Final = frozenset({"outage", "transition", "override", "marker"})
_LONGEST: Final = timedelta(days=92)
_ANNOTATIONS: Final = 500
_READ: Final = 5000


class AnnotationQuery(Schema):
    """`query` is empty, a service, or `service/breaker`."""

    name: str = ""
    query: str = ""


class AnnotationsIn(Schema):
    """What Grafana's JSON datasource sends."""

    range: dict[str, Any]
    annotation: AnnotationQuery = AnnotationQuery()


class Annotation(Schema):
    """A moment, or a region while it has `timeEnd`. Times are Unix milliseconds."""

    time: int
    timeEnd: int | None = None  # noqa: N815 - Grafana's names
    isRegion: bool = False  # noqa: N815
    title: str
    text: str
    tags: list[str]


@router.get("", response={200: dict[str, str], **ERRORS}, operation_id="grafana_test")
def test_connection(request: ApiRequest) -> dict[str, str]:
    """Grafana's test of the datasource."""
    request.caller.demand_scope("read")
    return {"status": "ok"}


@router.post("/annotations", response={200: list[Annotation], **ERRORS},
             operation_id="grafana_annotations")  # fmt: skip
def list_annotations(request: ApiRequest, body: AnnotationsIn) -> list[dict[str, Any]]:
    """Outages, overrides and markers of a range, newest first; at most 500."""
    request.caller.demand_scope("read")
    since, until = _time(body.range, "from"), _time(body.range, "to")
    if not since < until <= since + _LONGEST.total_seconds():
        raise ApiError(
            422, "invalid", "range.to is after range.from, by at most 92 days.", [("range.to", "")]
        )
    service, _, breaker = body.annotation.query.strip()[:300].partition("/")
    wanted = Wanted(since=since, until=until, kinds=_KINDS, service=service, breaker=breaker)
    seen = visible_services(request.caller.person)
    found = (
        each
        for each in together(islice(events(wanted), _READ))
        if (not each.service or each.service in seen) and _is_told(each)
    )
    return [_annotation(each) for each in islice(found, _ANNOTATIONS)]


def _is_told(event: Event) -> bool:
    """Of transitions, trips alone."""
    return event.kind != "transition" or event.after == "open"


def _annotation(event: Event) -> dict[str, Any]:
    where = "/".join(filter(None, (event.service, event.breaker))) or "fleet"
    words = " ".join(filter(None, (said(event), event.why, event.who and f"({event.who})")))
    end = None
    if event.kind == "outage":
        end = round(1000 * (event.until or time.time()))
    return {
        "time": round(1000 * event.at), "timeEnd": end, "isRegion": end is not None,
        "title": where, "text": words,
        "tags": [event.kind, *filter(None, (event.service, event.breaker))],
    }  # fmt: skip


def _time(range: dict[str, Any], side: str) -> float:
    """Grafana sends ISO times; milliseconds are taken too."""
    value = range.get(side)
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            moment = datetime.fromtimestamp(value / 1000, UTC)
        else:
            moment = datetime.fromisoformat(str(value))
        return moment.timestamp()
    except (ValueError, OverflowError, OSError):
        raise ApiError(
            422, "invalid", f"range.{side} is not a time.", [(f"range.{side}", str(value)[:40])]
        ) from None
