"""Drills: save, run and stop them, read what came of a run, and drill the kill path."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Router, Schema, Status

from dashboard.access.authority import visible_services
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import Problem, not_found
from dashboard.control import drill_reports, drills, kill_path
from dashboard.control.models import Drill, DrillRun

router = Router(tags=["drills"])
ERRORS = dict.fromkeys((401, 403, 404, 409, 422, 429), Problem)


class DrillIn(Schema):
    """A fault: `kind` is latency, error or corrupt, `share` of the calls, `seconds` its length."""

    service: str
    breaker: str
    kind: str
    share: float = 1.0
    latency_s: float = 0.0
    seconds: float = 60.0
    instances: list[str] | None = None


class DrillOut(DrillIn):
    name: str
    by: str
    changed: datetime


class RunIn(Schema):
    reason: str


class RunOut(Schema):
    """A run, with the fault as it was then."""

    id: str
    name: str
    service: str
    breaker: str
    kind: str
    share: float
    latency_s: float
    instances: list[str] | None
    reason: str
    by: str
    created: datetime
    expires: datetime
    ended_by: str


class RefusedOut(Schema):
    instance: str
    reason: str


class OpenedOut(Schema):
    """A breaker that opened, on how many instances, how long after the start."""

    service: str
    breaker: str
    instances: int
    after_s: float
    cause: str


class SeenOut(Schema):
    """What callers of a breaker saw; shares in per cent."""

    service: str
    breaker: str
    calls: int
    failed: float
    refused: float
    fallback: float
    failed_before: float


class ReportOut(Schema):
    run: RunOut
    seconds: float
    obeyed: list[str]
    refused: list[RefusedOut]
    tripped: list[OpenedOut]
    seen: list[SeenOut]


class KillPathOut(Schema):
    """The last drill of the kill path of a service: seconds to obey by instance, and who would
    not. While `waits` is true, those that are silent may still answer."""

    service: str
    breaker: str
    created: datetime
    obeyed: dict[str, float]
    refused: dict[str, str]
    silent: list[str]
    waits: bool
    half_s: float | None
    all_s: float | None


@router.get("", response={200: list[DrillOut], **ERRORS}, operation_id="list_drills")
def list_drills(request: ApiRequest) -> list[Drill]:
    """The drills that are saved."""
    request.caller.demand_scope("read")
    visible = visible_services(request.caller.person)
    return [row for row in Drill.objects.all() if row.service in visible]


@router.put("/{drill_name}", response={200: DrillOut, **ERRORS}, operation_id="save_drill")
def save_drill(request: ApiRequest, drill_name: str, body: DrillIn) -> Drill:
    """Save a drill under a name, in the place of one that has it."""
    request.caller.demand_scope("operate")
    _check_visible(request, body.service)
    return drills.save(request.caller.person, drill_name, **body.dict())


@router.delete("/{drill_name}", response={204: None, **ERRORS}, operation_id="delete_drill")
def delete_drill(request: ApiRequest, drill_name: str) -> Status[None]:
    """Delete a saved drill; its runs stay."""
    request.caller.demand_scope("operate")
    drills.forget(request.caller.person, _drill(request, drill_name))
    return Status(204, None)


@router.post("/{drill_name}/run", response={201: RunOut, **ERRORS}, operation_id="run_drill")
def run_drill(request: ApiRequest, drill_name: str, body: RunIn) -> Status[DrillRun]:
    """Inject the fault of a drill from now on, for its time."""
    request.caller.demand_scope("operate")
    drill = _drill(request, drill_name)
    return Status(201, drills.run(request.caller.person, drill, body.reason))


@router.get("/runs/{run_id}", response={200: ReportOut, **ERRORS}, operation_id="get_drill_run")
def get_drill_run(request: ApiRequest, run_id: str) -> dict[str, Any]:
    """What came of a run: who obeyed, what tripped, what callers saw."""
    request.caller.demand_scope("read")
    row = _run(request, run_id)
    found = drill_reports.report(row, request.caller.person)
    refused = [{"instance": id, "reason": why} for id, why in found.refused]
    return {**vars(found), "refused": refused}


@router.post("/runs/{run_id}/stop", response={204: None, **ERRORS}, operation_id="stop_drill_run")
def stop_drill_run(request: ApiRequest, run_id: str) -> Status[None]:
    """Stop a run before its time."""
    request.caller.demand_scope("operate")
    _run(request, run_id)
    if not drills.stop(request.caller.person, run_id):
        raise not_found(f"The run {run_id[:32]!r} is over.")
    return Status(204, None)


@router.get(
    "/kill-path/{service}", response={200: KillPathOut, **ERRORS}, operation_id="get_kill_path"
)
def get_kill_path(request: ApiRequest, service: str) -> dict[str, Any]:
    """How the last drill of a service's kill path went."""
    request.caller.demand_scope("read")
    _check_visible(request, service)
    found = kill_path.last(service)
    if found is None:
        raise not_found(f"The kill path of {service[:120]!r} was not drilled yet.")
    row = found.override
    return {
        "service": service,
        "breaker": row.breaker,
        "created": row.created,
        "obeyed": found.obeyed,
        "refused": found.refused,
        "silent": found.silent,
        "waits": found.waits,
        "half_s": found.half_s,
        "all_s": found.all_s,
    }


@router.post(
    "/kill-path/{service}", response={201: dict[str, str], **ERRORS}, operation_id="drill_kill_path"
)
def drill_kill_path(request: ApiRequest, service: str) -> Status[dict[str, str]]:
    """Drill the kill path of a service now: metrics only, for some seconds, on one breaker."""
    request.caller.demand_scope("operate")
    _check_visible(request, service)
    made = kill_path.drill(service, request.caller.person)
    return Status(201, {"breaker": made.breaker, "override": made.pk})


def _drill(request: ApiRequest, name: str) -> Drill:
    row = Drill.objects.filter(name=name).first() if "\0" not in name else None
    if row is None or row.service not in visible_services(request.caller.person):
        raise not_found(f"There is no drill {name[:120]!r}.")
    return row


def _run(request: ApiRequest, id: str) -> DrillRun:
    row = DrillRun.objects.filter(pk=id).first() if "\0" not in id else None
    if row is None or row.service not in visible_services(request.caller.person):
        raise not_found(f"There is no run {id[:32]!r}.")
    return row


def _check_visible(request: ApiRequest, service: str) -> None:
    if "\0" in service or service not in visible_services(request.caller.person):
        raise not_found(f"There is no service {service[:120]!r}.")
