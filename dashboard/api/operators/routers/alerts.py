"""Alert rules, routes and silences as one document: export, plan and apply."""

from __future__ import annotations

from typing import Annotated, Any

from django.core.exceptions import ValidationError
from ninja import Query, Router, Schema

from dashboard.access.authority import demand
from dashboard.access.roles import ADMINISTER
from dashboard.alerts import documents, outbox
from dashboard.alerts.models import OutboxMessage
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import ApiError, Problem, invalid_document, not_found
from dashboard.api.operators.routers.channels import QueuedOut

router = Router(tags=["alerts"])
Most = Annotated[int, Query(ge=1, le=200)]
ERRORS = dict.fromkeys((401, 403, 409, 422, 429), Problem)


class AlertsDocument(Schema):
    """Rules and routes by name, and silences. Routes name their channels, whose secrets are not
    part of it."""

    rules: dict[str, Any] = {}
    routes: dict[str, Any] = {}
    silences: list[dict[str, Any]] = []


class AlertsChange(Schema):
    """What changes at a path; `none` where there is nothing."""

    path: str
    before: str
    after: str


class RulePreview(Schema):
    """How often a rule would have fired; `cut` if history has more than a preview reads. `unknown`
    says why it cannot be told, if it cannot."""

    rule: str
    count: int
    days: float
    cut: bool
    unknown: str = ""


class AlertsPlan(Schema):
    """What a document would change. `base` is to be sent with apply."""

    changes: list[AlertsChange]
    previews: list[RulePreview]
    base: str


class AlertsPlanIn(Schema):
    document: dict[str, Any]


class AlertsApplyIn(Schema):
    document: dict[str, Any]
    reason: str = ""
    base: str | None = None


@router.get("", response={200: AlertsDocument, **ERRORS}, operation_id="export_alerts")
def export_alerts(request: ApiRequest) -> dict[str, Any]:
    """All rules and routes, and the silences that have not ended."""
    request.caller.demand_scope("read")
    return documents.export(request.caller.person)


class MessageOut(Schema):
    """A message to a channel; times are Unix times."""

    id: int
    key: str
    channel: str
    title: str
    created: float
    attempts: int
    finished: float | None
    outcome: str
    error: str


@router.get("/messages", response={200: list[MessageOut], **ERRORS}, operation_id="list_messages")
def list_messages(request: ApiRequest, limit: Most = 50) -> list[dict[str, Any]]:
    """The latest messages to channels, and what came of them."""
    request.caller.demand_scope("admin")
    demand(request.caller.person, ADMINISTER)
    fields = ("id", "key", "title", "created", "attempts", "finished", "outcome", "error")
    rows = OutboxMessage.objects.select_related("channel").order_by("-id")[:limit]
    return [
        {**{name: getattr(row, name) for name in fields}, "channel": row.channel.name}
        for row in rows
    ]


@router.post(
    "/messages/{int:message}/replay", response={200: QueuedOut, **ERRORS, 404: Problem},
    operation_id="replay_message",
)  # fmt: skip
def replay_message(request: ApiRequest, message: int) -> dict[str, bool]:
    """Deliver a finished message again, under the same id."""
    request.caller.demand_scope("admin")
    if not outbox.replay(request.caller.person, min(message, 2**63 - 1)):
        raise not_found(f"No finished message has the id {message}.")
    return {"queued": True}


@router.post("/plan", response={200: AlertsPlan, **ERRORS}, operation_id="plan_alerts")
def plan_alerts(request: ApiRequest, body: AlertsPlanIn) -> dict[str, Any]:
    """Compare a document with what is in force, and replay its new rules over history."""
    request.caller.demand_scope("read")
    try:
        return documents.plan(request.caller.person, body.document)
    except ValidationError as error:
        raise invalid_document(error) from None


@router.post("/apply", response={200: AlertsPlan, **ERRORS}, operation_id="apply_alerts")
def apply_alerts(request: ApiRequest, body: AlertsApplyIn) -> dict[str, Any]:
    """Put a document in force, in one transaction."""
    request.caller.demand_scope("admin")
    try:
        return documents.apply(request.caller.person, body.document, body.reason, body.base)
    except documents.DocumentConflict as error:
        raise ApiError(409, "changed", error.messages[0]) from None
    except ValidationError as error:
        raise invalid_document(error) from None
