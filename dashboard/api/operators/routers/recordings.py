"""Recordings of calls: order and stop them, and read the calls that opened a breaker."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from ninja import Query, Router, Schema, Status

from dashboard.access.authority import visible_services
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import Problem, not_found
from dashboard.control import recordings as orders
from dashboard.control.models import RecordingOrder
from dashboard.history import recordings

router = Router(tags=["recordings"])
ERRORS = dict.fromkeys((401, 403, 404, 409, 422, 429), Problem)
Name = Annotated[str, Query(max_length=120)]


class RecordIn(Schema):
    """Breaker `*` is every breaker of the service."""

    service: str
    breaker: str
    seconds: float = 600.0
    reason: str = ""


class OrderOut(Schema):
    """An order to record each call of a breaker."""

    id: str
    service: str
    breaker: str
    reason: str
    by: str
    created: datetime
    expires: datetime


class CallOut(Schema):
    """A call: seconds before the trip, outcome, latency and attempt."""

    before_s: float
    outcome: str
    latency_s: float
    attempt: int


class TripOut(Schema):
    """The calls that opened a breaker at one instance, in the order in which they ended."""

    at: float
    instance: str
    cause: str
    calls: list[CallOut]


@router.post("", response={201: OrderOut, **ERRORS}, operation_id="record_breaker")
def record_breaker(request: ApiRequest, body: RecordIn) -> Status[RecordingOrder]:
    """Record each call of a breaker, for 10 minutes at most."""
    request.caller.demand_scope("operate")
    person = request.caller.person
    _check_visible(request, body.service)
    return Status(201, orders.record(person, body.service, body.breaker, body.seconds, body.reason))


@router.get("", response={200: list[OrderOut], **ERRORS}, operation_id="list_recordings")
def list_recordings(request: ApiRequest, service: Name) -> list[RecordingOrder]:
    """The recordings of a service that are under way."""
    request.caller.demand_scope("read")
    _check_visible(request, service)
    return list(orders.standing(service))


@router.post(
    "/{service}/{order_id}/stop", response={204: None, **ERRORS}, operation_id="stop_recording"
)
def stop_recording(request: ApiRequest, service: str, order_id: str) -> Status[None]:
    """Stop a recording before its time."""
    request.caller.demand_scope("operate")
    _check_visible(request, service)
    if "\0" in order_id or not orders.stop(request.caller.person, service, order_id[:32]):
        raise not_found(f"No recording {order_id[:32]!r} of {service!r} is under way.")
    return Status(204, None)


@router.get("/trips", response={200: list[TripOut], **ERRORS}, operation_id="list_trips")
def list_trips(request: ApiRequest, service: Name, breaker: Name) -> list[dict[str, Any]]:
    """The calls of the latest five trips of a breaker that were recorded."""
    request.caller.demand_scope("read")
    _check_visible(request, service)
    return [
        {
            "at": row.start,
            "instance": row.instance,
            "cause": row.cause,
            "calls": [
                {
                    "before_s": row.start - call.at,
                    "outcome": call.outcome,
                    "latency_s": call.seconds,
                    "attempt": call.attempt,
                }
                for call in recordings.calls_of(row)
            ],
        }
        for row in recordings.trips(service, breaker.replace("\0", ""))
    ]


def _check_visible(request: ApiRequest, service: str) -> None:
    if "\0" in service or service not in visible_services(request.caller.person):
        raise not_found(f"There is no service {service[:120]!r}.")
