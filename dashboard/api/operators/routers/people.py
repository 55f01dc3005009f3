"""The caller."""

from __future__ import annotations

from typing import Any

from ninja import Router, Schema

from dashboard.access.authority import services_with
from dashboard.access.roles import ADMINISTER, CHANGE_POLICIES, OPERATE, VIEW
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import Problem

me_router = Router(tags=["people"])


class Me(Schema):
    """The caller: `may` has the services (names and patterns, `*` for all) of each permission."""

    username: str
    scopes: list[str] | None
    may: dict[str, list[str]]


@me_router.get("", response={200: Me, 401: Problem, 429: Problem}, operation_id="me")
def me(request: ApiRequest) -> dict[str, Any]:
    """The person of this token, and what they may do."""
    caller = request.caller
    names = {"view": VIEW, "operate": OPERATE, "policies": CHANGE_POLICIES, "admin": ADMINISTER}
    may = {}
    for name, permission in names.items():
        held = services_with(caller.person, permission)
        may[name] = ["*"] if held.is_all else sorted(held.patterns)
    scopes = sorted(caller.scopes) if caller.token_id is not None else None
    return {"username": caller.person.username, "scopes": scopes, "may": may}
