"""Incidents: list them, read one, and act on it."""

from __future__ import annotations

from typing import Annotated

from ninja import Query, Router, Schema
from pydantic import Field

from dashboard.access.authority import visible_services
from dashboard.alerts import queries
from dashboard.alerts.incident_acts import Given, perform
from dashboard.alerts.models import Incident
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import Problem, not_found

router = Router(tags=["incidents"])
ERRORS = dict.fromkeys((401, 403, 404, 409, 422, 429), Problem)
Most = Annotated[int, Query(ge=1, le=200)]
Number = Annotated[int, Field(ge=0, lt=2**63)]


class IncidentOut(Schema):
    """An incident; times are Unix times."""

    id: int
    headline: str
    severity: str
    service: str
    breaker: str
    began: float
    ended: float | None
    acknowledged: float | None


class IncidentActIn(Schema):
    """`assignee` for assign (empty: nobody), `text` for note, `severity`, `into` for merge, and the
    ids of `firings` for split."""

    assignee: str = ""
    text: str = ""
    severity: str = ""
    into: Number = 0
    firings: list[Number] = []


@router.get("", response={200: list[IncidentOut], **ERRORS}, operation_id="list_incidents")
def list_incidents(request: ApiRequest, all: bool = False, limit: Most = 50) -> list[Incident]:
    """The incidents that last, the worst first; with `all` those that ended too, newest first."""
    request.caller.demand_scope("read")
    services = visible_services(request.caller.person)
    if all:
        rows = Incident.objects.filter(merged_into=None).order_by("-began")
        return queries.visible(rows, services, limit)
    return queries.open_incidents(services, limit)


@router.get("/{int:incident}", response={200: IncidentOut, **ERRORS}, operation_id="get_incident")
def get_incident(request: ApiRequest, incident: int) -> Incident:
    """One incident."""
    request.caller.demand_scope("read")
    return _visible(request, incident)


@router.post(
    "/{int:incident}/{act}", response={200: IncidentOut, **ERRORS}, operation_id="act_on_incident"
)
def act_on_incident(request: ApiRequest, incident: int, act: str, body: IncidentActIn) -> Incident:
    """Acknowledge, resolve, assign, note, severity, merge or split. Answers with the incident to
    look at afterwards."""
    request.caller.demand_scope("operate")
    _visible(request, incident)
    after = perform(request.caller.person, incident, act, Given(**body.dict()))
    return _visible(request, after)


def _visible(request: ApiRequest, id: int) -> Incident:
    rows = Incident.objects.filter(pk=id) if id < 2**63 else Incident.objects.none()
    found = queries.visible(rows, visible_services(request.caller.person), 1)
    if not found:
        raise not_found(f"There is no incident {id}.")
    return found[0]
