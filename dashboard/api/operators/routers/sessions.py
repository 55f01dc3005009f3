"""The caller's own sessions of the pages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Router, Schema, Status

from dashboard.access import sessions
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import Problem, not_found

router = Router(tags=["people"])
ERRORS = dict.fromkeys((401, 403, 404, 409, 422, 429), Problem)


class SessionOut(Schema):
    """A session: when it began and was last used, from where."""

    id: int
    created: datetime
    last_seen: datetime
    address: str
    browser: str


class RevokedOut(Schema):
    revoked: int


@router.get("", response={200: list[SessionOut], **ERRORS}, operation_id="list_sessions")
def list_sessions(request: ApiRequest) -> list[dict[str, Any]]:
    """The caller's sessions."""
    request.caller.demand_scope("read")
    return [
        {
            "id": each.pk,
            "created": each.created_at,
            "last_seen": each.last_seen_at,
            "address": str(each.ip),
            "browser": each.user_agent,
        }
        for each in sessions.sessions_of(request.caller.person)
    ]


@router.delete("/{int:session}", response={204: None, **ERRORS}, operation_id="revoke_session")
def revoke_session(request: ApiRequest, session: int) -> Status[None]:
    """End one of the caller's sessions. Its open sockets close within seconds."""
    if session >= 2**63 or not sessions.revoke_session(request.caller.person, session):
        raise not_found(f"You have no session {session}.")
    return Status(204, None)


@router.delete("", response={200: RevokedOut, **ERRORS}, operation_id="revoke_sessions")
def revoke_sessions(request: ApiRequest) -> dict[str, int]:
    """End all of the caller's sessions, but the one that this request comes from."""
    but = request.session.session_key or "" if request.caller.token_id is None else ""
    return {"revoked": sessions.revoke_sessions(request.caller.person, but)}
