"""Policies as one document: export, plan and apply; lint findings."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.core.exceptions import ValidationError
from ninja import Query, Router, Schema

from dashboard.access.authority import visible_services
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import ApiError, Problem, invalid_document, not_found
from dashboard.policies import documents, lint, queries
from dashboard.policies.models import Refusal
from dashboard.policies.services import PolicyConflict

router = Router(tags=["policies"])
ERRORS = dict.fromkeys((401, 403, 404, 409, 422, 429), Problem)
Name = Annotated[str, Query(max_length=120)]


class Document(Schema):
    """All policies: those of the fleet, of services, and of breakers. Values are texts."""

    fleet: dict[str, Any] = {}
    services: dict[str, Any] = {}


class Change(Schema):
    """One field that changes; `inherited` where a scope does not set it."""

    service: str
    breaker: str
    field: str
    before: str
    after: str


class IncidentJudged(Schema):
    """A saved incident, replayed under the candidate."""

    name: str
    service: str
    breaker: str
    is_worse: bool
    before: int
    after: int
    sentence: str


class FieldNotUnderstood(Schema):
    """A field that would be set and that `count` of `total` connected instances do not understand.
    They would refuse the policy as a whole; `instances` names at most a hundred of them."""

    service: str
    breaker: str
    field: str
    instances: list[str]
    count: int
    total: int
    message: str


class PlanOut(Schema):
    """What a document would change. `base` is to be sent with apply."""

    changes: list[Change]
    incidents: list[IncidentJudged]
    is_worse: bool
    not_understood: list[FieldNotUnderstood]
    base: dict[str, int]


class PlanIn(Schema):
    document: dict[str, Any]


class ApplyIn(Schema):
    document: dict[str, Any]
    reason: str = ""
    base: dict[str, int] | None = None


class RefusalOut(Schema):
    """An instance that refuses the policy in force. `revision` is that of the desired state."""

    breaker: str
    instance: str
    revision: int
    reason: str
    at: datetime


class FindingOut(Schema):
    """One finding of the linter."""

    code: str
    service: str
    breaker: str
    field: str
    message: str


@router.get("", response={200: Document, **ERRORS}, operation_id="export_policies")
def export_policies(request: ApiRequest) -> dict[str, Any]:
    """Every policy that sets something."""
    request.caller.demand_scope("read")
    return documents.export(request.caller.person)


@router.post("/plan", response={200: PlanOut, **ERRORS}, operation_id="plan_policies")
def plan_policies(request: ApiRequest, body: PlanIn) -> dict[str, Any]:
    """Compare a document with what is in force, and replay the saved incidents."""
    request.caller.demand_scope("read")
    try:
        return documents.plan(request.caller.person, body.document)
    except ValidationError as error:
        raise invalid_document(error) from None


@router.post("/apply", response={200: PlanOut, **ERRORS}, operation_id="apply_policies")
def apply_policies(request: ApiRequest, body: ApplyIn) -> dict[str, Any]:
    """Put a document in force, in one transaction."""
    request.caller.demand_scope("policies")
    try:
        return documents.apply(request.caller.person, body.document, body.reason, body.base)
    except PolicyConflict as error:
        raise ApiError(409, "changed", error.messages[0]) from None
    except ValidationError as error:
        raise invalid_document(error) from None


@router.get("/lint", response={200: list[FindingOut], **ERRORS}, operation_id="lint_policies")
def lint_policies(request: ApiRequest) -> list[dict[str, Any]]:
    """The findings of the linter for every breaker that the caller sees."""
    request.caller.demand_scope("read")
    return [each.as_dict() for each in lint.fleet(request.caller.person)]


@router.get("/refusals", response={200: list[RefusalOut], **ERRORS}, operation_id="list_refusals")
def list_refusals(request: ApiRequest, service: Name, breaker: Name = "") -> list[Refusal]:
    """The instances of a service that refuse the policy in force, each with its reason, 200 at
    most. A refusal is gone once its instance applies a policy."""
    request.caller.demand_scope("read")
    if "\0" in service or service not in visible_services(request.caller.person):
        raise not_found(f"There is no service {service[:120]!r}.")
    return queries.refusals_of(service, breaker.replace("\0", ""))
