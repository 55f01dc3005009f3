"""Silences of alerts: list, add and end them."""

from __future__ import annotations

import time
from typing import Annotated

from ninja import Router, Schema, Status
from pydantic import Field

from dashboard.access.authority import visible_services
from dashboard.alerts import silences
from dashboard.alerts.models import Silence
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import Problem, not_found

router = Router(tags=["alerts"])
ERRORS = dict.fromkeys((401, 403, 404, 409, 422, 429), Problem)


class SilenceIn(Schema):
    """Names or patterns with `*`; empty for all. It begins now."""

    service: str = ""
    breaker: str = ""
    reason: str
    seconds: Annotated[float, Field(gt=0, le=30 * 86_400)] = 3600.0


class SilenceOut(Schema):
    """A silence; times are Unix times."""

    id: int
    service: str
    breaker: str
    reason: str
    by: str
    starts: float
    ends: float


@router.get("", response={200: list[SilenceOut], **ERRORS}, operation_id="list_silences")
def list_silences(request: ApiRequest) -> list[Silence]:
    """The silences that have not ended."""
    request.caller.demand_scope("read")
    seen = visible_services(request.caller.person)
    return [
        row
        for row in silences.lasting(time.time())
        # A pattern may stand for services that the caller does not see.
        if seen.is_all or (row.service and "*" not in row.service and row.service in seen)
    ]


@router.post("", response={201: SilenceOut, **ERRORS}, operation_id="add_silence")
def add_silence(request: ApiRequest, body: SilenceIn) -> Status[Silence]:
    """Send no messages about matching breakers for a time."""
    request.caller.demand_scope("operate")
    now = time.time()
    named = (body.service.replace("\0", ""), body.breaker.replace("\0", ""))
    reason = body.reason.replace("\0", "")
    made = silences.add_silence(
        request.caller.person, *named, reason, ends=now + body.seconds, now=now
    )
    return Status(201, made)


@router.delete("/{int:silence}", response={204: None, **ERRORS}, operation_id="end_silence")
def end_silence(request: ApiRequest, silence: int) -> Status[None]:
    """End a silence at once."""
    request.caller.demand_scope("operate")
    try:
        if silence >= 2**63:
            raise Silence.DoesNotExist
        silences.end_silence(request.caller.person, silence)
    except Silence.DoesNotExist:
        raise not_found(f"There is no silence {silence}.") from None
    return Status(204, None)
