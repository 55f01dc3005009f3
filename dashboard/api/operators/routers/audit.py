"""The audit trail: search, and verification."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from ninja import Query, Router, Schema

from dashboard.access import audit_chain, time_stamps
from dashboard.access.authority import demand
from dashboard.access.queries import audit_row, search_audit
from dashboard.access.roles import ADMINISTER
from dashboard.api.operators.pagination import Cursor, Limit, page
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import Problem

router = Router(tags=["audit"])
ERRORS = dict.fromkeys((401, 403, 422, 429), Problem)
Text = Annotated[str, Query(max_length=150)]


class EntryOut(Schema):
    """A row of the trail; `hash` covers every other field and `previous`."""

    number: int
    at: datetime
    by: str
    act: str
    service: str
    breaker: str
    reason: str
    detail: dict[str, Any]
    address: str
    session: str
    previous: str
    hash: str


class EntryPage(Schema):
    items: list[EntryOut]
    next: str | None


class ChainFinding(Schema):
    number: int
    problem: str


class TimeStamps(Schema):
    """How many heads are time-stamped, the last one, and whether signatures are verified."""

    count: int
    number: int
    at: datetime | None
    signatures: bool


class Verified(Schema):
    """`head` is `number:hash:signature`; keep it elsewhere and give it as an anchor later."""

    rows: int
    findings: list[ChainFinding]
    head: str
    public_key: str
    time_stamps: TimeStamps


class VerifyIn(Schema):
    anchors: list[str] = []


@router.get("", response={200: EntryPage, **ERRORS}, operation_id="list_audit")
def list_audit(
    request: ApiRequest,
    by: Text = "", act: Text = "", service: Text = "", breaker: Text = "", address: Text = "",
    q: Text = "", cursor: Cursor = "", limit: Limit = 100,
) -> dict[str, Any]:  # fmt: skip
    """Audit entries that the caller sees, newest first."""
    request.caller.demand_scope("read")
    named = {"by": by, "act": act, "service": service, "breaker": breaker, "address": address}
    clean = {name: value.replace("\0", "") for name, value in {**named, "q": q}.items()}
    found = search_audit(request.caller.person, **clean)
    return page(found, ("number",), cursor, limit, audit_row)


@router.post("/verify", response={200: Verified, **ERRORS}, operation_id="verify_audit")
def verify(request: ApiRequest, body: VerifyIn) -> dict[str, Any]:
    """Verify the whole chain and its time stamps, and that it contains the given heads."""
    request.caller.demand_scope("read")
    demand(request.caller.person, ADMINISTER)
    rows, findings = audit_chain.verify(body.anchors)
    return {
        "rows": rows,
        "findings": [vars(each) for each in findings],
        "head": audit_chain.head(),
        "public_key": audit_chain.public_key(),
        "time_stamps": vars(time_stamps.summary()),
    }
