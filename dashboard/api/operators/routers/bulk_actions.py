"""Acts on breakers: preview, force, release, undo; and the approvals that they may need."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate
from django.urls import reverse
from ninja import Router, Schema, Status
from pydantic import Field

from dashboard.access.authority import services_with, visible_services
from dashboard.access.roles import OPERATE
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import ApiError, Problem, not_found
from dashboard.control import actions, approvals, holdings
from dashboard.control.action_catalogue import DEFAULT_END_S, is_fleet_wide
from dashboard.control.models import Act, Override, PendingAct
from dashboard.control.override_writes import Target
from dashboard.control.preview import preview as preview_of
from dashboard.fleet.snapshot.reads import breaker_view, snapshot

router = Router(tags=["acts"])
approvals_router = Router(tags=["approvals"])
ERRORS = dict.fromkeys((401, 403, 404, 409, 422, 429), Problem)
ActId = Annotated[str, Field(min_length=8, max_length=36, pattern=r"^[!-~]+$")]
Seconds = Annotated[float, Field(gt=0, le=604_800)]
State = Literal[
    "forced_open", "forced_closed", "metrics_only", "forced_partial", "automatic", "reset"
]
Share = Annotated[float, Field(gt=0, le=1)]


class TargetIn(Schema):
    """A breaker of a service, on some instances or on all."""

    service: str
    breaker: str
    instances: list[str] | None = None


class PreviewIn(Schema):
    targets: Annotated[list[TargetIn], Field(max_length=5000)]
    state: State


class PreviewOut(Schema):
    """What users will see, see `control.preview`."""

    calls_per_s: float
    instances: int
    services: int
    breakers: int
    fallback_share: float
    upstream: list[str]
    why_approval: str


class ActIn(PreviewIn):
    """`share` is what `forced_partial` lets through. `break_glass` performs an act that needs
    approval at once. `propose` stores it for approval in any case."""

    reason: str
    expires_in_s: Seconds = DEFAULT_END_S
    share: Share | None = None
    id: ActId | None = None
    break_glass: bool = False
    propose: bool = False


class PartOut(Schema):
    """How the act went in one service: the override made of each breaker, and why others were
    left as they were."""

    service: str
    made: dict[str, str | None]
    kept: dict[str, str]
    error: str


class ActOut(Schema):
    id: str
    state: str
    pending: str = ""
    parts: list[PartOut]


class UndoIn(Schema):
    id: ActId | None = None


class ReleaseIn(Schema):
    """`by` is the holder; the caller if it is missing."""

    reason: str
    by: str = ""
    id: ActId | None = None


class ConfirmationOut(Schema):
    """How far an override has got at its instances."""

    service: str
    breaker: str
    override: str
    stands: bool
    applied: int
    total: int
    pending: list[str]
    refused: list[dict[str, str]]


class ActStatus(Schema):
    id: str
    by: str
    state: str
    reason: str
    created: datetime
    confirmations: list[ConfirmationOut]


class PendingOut(Schema):
    id: str
    by: str
    state: str
    reason: str
    why: str
    share: float | None
    created: datetime
    targets: list[TargetIn]


def _targets(given: list[TargetIn]) -> list[Target]:
    return [
        Target(t.service, t.breaker, tuple(t.instances) if t.instances else None) for t in given
    ]


def _outcome(found: actions.Outcome) -> dict[str, Any]:
    return {"id": found.id, "state": found.state, "parts": [vars(part) for part in found.parts]}


@router.post("/preview", response={200: PreviewOut, **ERRORS}, operation_id="preview_act")
def preview(request: ApiRequest, body: PreviewIn) -> dict[str, Any]:
    """What an act would do, without doing it."""
    request.caller.demand_scope("read")
    visible = visible_services(request.caller.person)
    targets = [each for each in _targets(body.targets) if each.service in visible]
    why = approvals.why_approval(targets, body.state)
    return vars(preview_of(snapshot(), targets, {}, why))


@router.post("", response={200: ActOut, 202: ActOut, **ERRORS}, operation_id="act")
def act(request: ApiRequest, body: ActIn) -> Status[dict[str, Any]]:
    """Force breakers to a state for a time, or return them. 202 says that it waits for the
    approval of a second person."""
    request.caller.demand_scope("operate")
    targets = _targets(body.targets)
    visible = visible_services(request.caller.person)
    for each in targets:
        if each.service not in visible or breaker_view(each.service, each.breaker) is None:
            known = f"{each.service[:120]}/{each.breaker[:120]}"
            raise not_found(f"No instance has reported the breaker {known!r}.")
    _demand_step_up(request, targets)
    id = body.id or str(uuid.uuid4())
    ends = None if body.state in ("automatic", "reset") else body.expires_in_s
    try:
        found = approvals.perform(
            request.caller.person, id, targets, body.state, body.reason, ends, body.share,
            break_glass=body.break_glass, proposed=body.propose,
        )  # fmt: skip
    except approvals.ApprovalNeeded as needed:
        waiting = {"id": id, "state": body.state, "pending": str(needed), "parts": []}
        return Status(202, waiting)
    return Status(200, _outcome(found))


def _demand_step_up(request: ApiRequest, targets: list[Target]) -> None:
    """A session gives its password or second factor again before a fleet-wide act, as on the page.
    A token with the scope to operate was made for it."""
    if request.caller.token_id is not None or not is_fleet_wide(snapshot(), targets):
        return
    if not did_recently_reauthenticate(request):
        first = f"Confirm who you are first: {reverse('account_reauthenticate')}"
        raise ApiError(403, "step_up", first)


@router.post("/{act_id}/undo", response={200: ActOut, **ERRORS}, operation_id="undo_act")
def undo(request: ApiRequest, act_id: str, body: UndoIn) -> dict[str, Any]:
    """Put back what stood before an act, where nobody has changed it since."""
    request.caller.demand_scope("operate")
    _known(act_id)
    return _outcome(actions.undo(request.caller.person, body.id or str(uuid.uuid4()), act_id))


@router.post("/release", response={200: ActOut, **ERRORS}, operation_id="release_all")
def release(request: ApiRequest, body: ReleaseIn) -> dict[str, Any]:
    """Return to automatic everything that a person holds."""
    request.caller.demand_scope("operate")
    person = request.caller.person
    holder = body.by or person.username
    if "\0" in holder:
        raise not_found("Nobody has this name.")
    id = body.id or str(uuid.uuid4())
    return _outcome(holdings.release_all_of(person, id, holder, body.reason))


@router.get("/{act_id}", response={200: ActStatus, **ERRORS}, operation_id="get_act")
def get_act(request: ApiRequest, act_id: str) -> dict[str, Any]:
    """An act, and how far each of its overrides has got."""
    request.caller.demand_scope("read")
    row = _known(act_id)
    visible = visible_services(request.caller.person)
    parts = [part for part in row.parts.all() if part.service in visible]
    if not parts:
        raise not_found(f"No act has the id {act_id[:36]!r}.")
    made = {c["made"]: p.service for p in parts for c in p.changes if c["made"]}
    rows = Override.objects.in_bulk(list(made))
    return {
        **{name: getattr(row, name) for name in ("id", "by", "state", "reason", "created")},
        "confirmations": [confirmation(each) for each in rows.values()],
    }


def confirmation(row: Override) -> dict[str, Any]:
    """How far an override has got, from the fleet snapshot."""
    view = breaker_view(row.service, row.breaker)
    progress = view["override"] if view and view["override"] else None
    if progress is None or progress["id"] != row.id:
        progress = None
    return {
        "service": row.service,
        "breaker": row.breaker,
        "override": row.id,
        "stands": row.ended is None,
        "applied": progress["applied"] if progress else 0,
        "total": progress["total"] if progress else 0,
        "pending": progress["pending"] if progress else [],
        "refused": progress["refused"] if progress else [],
    }


def _known(act_id: str) -> Act:
    row = Act.objects.filter(pk=act_id).first() if "\0" not in act_id else None
    if row is None:
        raise not_found(f"No act has the id {act_id[:36]!r}.")
    return row


@approvals_router.get("", response={200: list[PendingOut], **ERRORS}, operation_id="list_approvals")
def list_approvals(request: ApiRequest) -> list[dict[str, Any]]:
    """The acts that wait for a second person."""
    request.caller.demand_scope("read")
    visible = visible_services(request.caller.person)
    return [_pending(row) for row in approvals.pending() if _sees(visible, row)]


Decision = Literal["approve", "reject", "break_glass"]


class DecisionIn(Schema):
    decision: Decision


@approvals_router.post("/{act_id}", response={200: ActOut, **ERRORS}, operation_id="decide_act")
def decide(request: ApiRequest, act_id: str, body: DecisionIn) -> dict[str, Any]:
    """Approve, reject, or break glass for one's own."""
    request.caller.demand_scope("operate")
    person = request.caller.person
    row = PendingAct.objects.filter(pk=act_id).first() if "\0" not in act_id else None
    if row is None or not _sees(services_with(person, OPERATE), row):
        raise not_found(f"No act {act_id[:36]!r} waits for approval.")
    if body.decision == "reject":
        approvals.reject(person, act_id)
        return {"id": act_id, "state": row.state, "parts": []}
    perform = approvals.approve if body.decision == "approve" else approvals.break_glass
    return _outcome(perform(person, act_id))


def _sees(services: Any, row: PendingAct) -> bool:
    return any(service in services for service, _, _ in row.targets)


def _pending(row: PendingAct) -> dict[str, Any]:
    return {
        **{
            name: getattr(row, name)
            for name in ("id", "by", "state", "reason", "why", "share", "created")
        },
        "targets": [
            {"service": service, "breaker": breaker, "instances": instances}
            for service, breaker, instances in row.targets
        ],
    }
