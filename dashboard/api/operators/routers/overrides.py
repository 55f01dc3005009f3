"""The overrides in force: extend, shorten, hand over."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.db.models import Q
from ninja import Query, Router, Schema

from dashboard.access.authority import visible_services
from dashboard.access.models import Person
from dashboard.api.operators.pagination import Cursor, Limit, page_of_list
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import Problem, not_found
from dashboard.api.operators.routers.bulk_actions import Seconds, confirmation
from dashboard.control import holdings
from dashboard.control.models import Override
from dashboard.control.queries import standing

router = Router(tags=["overrides"])
ERRORS = dict.fromkeys((401, 403, 404, 409, 422, 429), Problem)
Name = Annotated[str, Query(max_length=150)]


class OverrideOut(Schema):
    """An override that stands, and how far it has got."""

    id: str
    service: str
    breaker: str
    instances: list[str] | None
    state: str
    share: float | None
    reason: str
    by: str
    created: datetime
    expires: datetime
    applied: int
    total: int
    pending: list[str]
    refused: list[dict[str, str]]


class OverridePage(Schema):
    items: list[OverrideOut]
    next: str | None


class EndIn(Schema):
    expires_in_s: Seconds
    reason: str


class HandOverIn(Schema):
    to: str
    reason: str = ""


@router.get("", response={200: OverridePage, **ERRORS}, operation_id="list_overrides")
def list_overrides(
    request: ApiRequest, service: Name = "", by: Name = "", cursor: Cursor = "", limit: Limit = 100
) -> dict[str, Any]:
    """Everything in force that the caller sees."""
    request.caller.demand_scope("read")
    visible = visible_services(request.caller.person)
    named = {"service": service.replace("\0", ""), "by": by.replace("\0", "")}
    wanted = Q(**{field: value for field, value in named.items() if value})
    rows = [row for row in standing().filter(wanted).order_by("id") if row.service in visible]
    found = page_of_list(rows, lambda row: str(row.id), cursor, limit)
    return {**found, "items": [_override(row) for row in found["items"]]}


@router.post("/{override_id}/end", response={200: OverrideOut, **ERRORS}, operation_id="change_end")
def change_end(request: ApiRequest, override_id: str, body: EndIn) -> dict[str, Any]:
    """Extend or shorten an override: it ends `expires_in_s` from now."""
    request.caller.demand_scope("operate")
    _visible(request, override_id)
    return _override(
        holdings.change_end(request.caller.person, override_id, body.expires_in_s, body.reason)
    )


@router.post(
    "/{override_id}/hand-over", response={200: OverrideOut, **ERRORS}, operation_id="hand_over"
)
def hand_over(request: ApiRequest, override_id: str, body: HandOverIn) -> dict[str, Any]:
    """Make another person the holder of an override."""
    request.caller.demand_scope("operate")
    _visible(request, override_id)
    to = Person.objects.filter(username=body.to.replace("\0", ""), is_active=True).first()
    if to is None:
        raise not_found(f"Nobody is named {body.to[:150]!r}.")
    return _override(holdings.hand_over(request.caller.person, override_id, to, body.reason))


def _visible(request: ApiRequest, id: str) -> None:
    row = standing().filter(pk=id).first() if "\0" not in id else None
    if row is None or row.service not in visible_services(request.caller.person):
        raise not_found(f"No override {id[:32]!r} stands.")


def _override(row: Override) -> dict[str, Any]:
    fields = (
        *("id", "service", "breaker", "instances", "state", "share", "reason", "by"),
        *("created", "expires"),
    )
    far = confirmation(row)
    return {
        **{name: getattr(row, name) for name in fields},
        **{name: far[name] for name in ("applied", "total", "pending", "refused")},
    }
