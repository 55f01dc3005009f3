"""The caller's saved views of the wall."""

from __future__ import annotations

from ninja import Router, Schema, Status

from dashboard.access.models import SavedView
from dashboard.access.services import forget_view, keep_view
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import Problem, not_found

router = Router(tags=["people"])
ERRORS = dict.fromkeys((401, 403, 404, 409, 422, 429), Problem)


class ViewIn(Schema):
    """The query string of the wall's address."""

    name: str
    query: str = ""


class ViewOut(ViewIn):
    id: int


@router.get("", response={200: list[ViewOut], **ERRORS}, operation_id="list_views")
def list_views(request: ApiRequest) -> list[SavedView]:
    """The caller's views by name."""
    request.caller.demand_scope("read")
    return list(request.caller.person.views.all())


@router.post("", response={200: ViewOut, **ERRORS}, operation_id="keep_view")
def keep(request: ApiRequest, body: ViewIn) -> SavedView:
    """Save a view, in the place of one that has its name."""
    request.caller.demand_scope("read")
    return keep_view(request.caller.person, body.name, body.query.replace("\0", ""))


@router.delete("/{int:view}", response={204: None, **ERRORS}, operation_id="forget_view")
def forget(request: ApiRequest, view: int) -> Status[None]:
    """Delete one of the caller's views."""
    request.caller.demand_scope("read")
    if view >= 2**63 or not forget_view(request.caller.person, view):
        raise not_found(f"You have no view {view}.")
    return Status(204, None)
