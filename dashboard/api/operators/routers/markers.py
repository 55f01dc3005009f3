"""Markers: deploys and other events, drawn on charts and the timeline."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any

from django.core.exceptions import ValidationError
from ninja import Body, Router, Schema, Status

from dashboard.access.authority import visible_services
from dashboard.alerts import queries, services
from dashboard.alerts.models import Marker
from dashboard.api.operators import marker_payloads
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import ApiError, Problem

router = Router(tags=["markers"])
Payload = Annotated[dict[str, Any], Body()]
ERRORS = dict.fromkeys((401, 403, 409, 422, 429), Problem)


class MarkerIn(Schema):
    """A marker. The same `key` again changes nothing; `at` is now by default."""

    text: str
    kind: str = "deploy"
    service: str = ""
    version: str = ""
    url: str = ""
    at: datetime | None = None
    key: str = ""


class MarkerOut(Schema):
    id: int
    at: datetime
    kind: str
    service: str
    version: str
    text: str
    url: str
    by: str


class MarkerList(Schema):
    items: list[MarkerOut]


@router.get("", response={200: MarkerList, **ERRORS}, operation_id="list_markers")
def list_markers(
    request: ApiRequest, service: str = "", hours: float = 24.0
) -> dict[str, list[dict[str, Any]]]:
    """The markers of the last hours, newest first."""
    request.caller.demand_scope("read")
    seen = visible_services(request.caller.person)
    if not 0 < hours <= 24 * 365:
        raise ApiError(422, "invalid", "hours is above 0 and at most 8760.", [("hours", "")])
    now = time.time()
    rows = queries.markers(now - hours * 3600, now + 86_400, service)
    return {"items": [_marker(row) for row in rows if not row.service or row.service in seen]}


@router.post("", response={200: MarkerOut, 201: MarkerOut, **ERRORS}, operation_id="add_marker")
def add_marker(request: ApiRequest, body: MarkerIn) -> Status[dict[str, Any]]:
    """Add a marker. Answers 200 if its key exists already."""
    request.caller.demand_scope("operate")
    given = body.dict()
    given["at"] = body.at.timestamp() if body.at else None
    marker, made = _added(request, given)
    return Status(201 if made else 200, _marker(marker))


@router.post("/github", response={200: MarkerOut, 201: MarkerOut, 202: None, **ERRORS},
             operation_id="github_marker")  # fmt: skip
def from_github(request: ApiRequest, body: Payload) -> Status[Any]:
    """An event in GitHub's format: a deployment or a release becomes a marker; others are ignored.
    GitHub's own webhooks, which sign instead of sending a token, go to /hooks/github."""
    request.caller.demand_scope("operate")
    return _webhook(request, marker_payloads.from_github(body))


@router.post("/gitlab", response={200: MarkerOut, 201: MarkerOut, 202: None, **ERRORS},
             operation_id="gitlab_marker")  # fmt: skip
def from_gitlab(request: ApiRequest, body: Payload) -> Status[Any]:
    """A GitLab webhook: a successful deployment becomes a marker; other events are ignored. Its
    secret token (X-Gitlab-Token) is a personal token."""
    request.caller.demand_scope("operate")
    return _webhook(request, marker_payloads.from_gitlab(body))


def _webhook(request: ApiRequest, given: dict[str, Any] | None) -> Status[Any]:
    if given is None:
        return Status(202, None)
    marker, made = _added(request, given)
    return Status(201 if made else 200, _marker(marker))


def _added(request: ApiRequest, given: dict[str, Any]) -> tuple[Marker, bool]:
    try:
        return services.add_marker(request.caller.person, **given)
    except ValidationError as error:
        fields = [(name, " ".join(each)) for name, each in error.message_dict.items()]
        raise ApiError(422, "invalid", "The marker is not valid.", fields) from None


def _marker(row: Marker) -> dict[str, Any]:
    return {
        "id": row.pk, "at": datetime.fromtimestamp(row.at, UTC), "kind": row.kind,
        "service": row.service, "version": row.version, "text": row.text, "url": row.url,
        "by": row.by,
    }  # fmt: skip
