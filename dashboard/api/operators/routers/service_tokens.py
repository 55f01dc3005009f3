"""Tokens of services, which their agents send: list, create, rotate and revoke them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from django.utils import timezone
from ninja import Router, Schema, Status
from pydantic import Field

from dashboard.access import service_tokens
from dashboard.access.authority import demand, services_with
from dashboard.access.models import ServiceToken
from dashboard.access.roles import ADMINISTER
from dashboard.api.operators.pagination import Cursor, Limit, page_of_list
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import Problem, not_found

router = Router(tags=["service tokens"])
ERRORS = dict.fromkeys((401, 403, 404, 409, 422, 429), Problem)
Days = Annotated[int, Field(ge=1, le=3660)]


class ServiceTokenIn(Schema):
    """`instances` are patterns of the instances that may use it, separated by commas."""

    service: str
    name: Annotated[str, Field(max_length=80)] = ""
    instances: str = ""
    expires_in_days: Days | None = None


class ServiceTokenOut(Schema):
    id: int
    service: str
    name: str
    prefix: str
    instances: str
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    last_used: datetime | None
    last_address: str


class ServiceTokenPage(Schema):
    items: list[ServiceTokenOut]
    next: str | None


class SecretOut(Schema):
    """The token, which is not shown again."""

    token: str


@router.get("", response={200: ServiceTokenPage, **ERRORS}, operation_id="list_service_tokens")
def list_service_tokens(
    request: ApiRequest, cursor: Cursor = "", limit: Limit = 100
) -> dict[str, Any]:
    """The tokens of the services that the caller administers."""
    request.caller.demand_scope("admin")
    held = services_with(request.caller.person, ADMINISTER)
    demand(request.caller.person, ADMINISTER, ())
    rows = [row for row in ServiceToken.objects.order_by("id") if row.service in held]
    return page_of_list(rows, lambda row: f"{row.pk:020}", cursor, limit)


@router.post("", response={201: SecretOut, **ERRORS}, operation_id="create_service_token")
def create_service_token(request: ApiRequest, body: ServiceTokenIn) -> Status[dict[str, str]]:
    """Create a token for the agents of a service."""
    request.caller.demand_scope("admin")
    person = request.caller.person
    demand(person, ADMINISTER, [body.service])
    days = body.expires_in_days
    expires = None if days is None else timezone.now() + timedelta(days=days)
    name = body.name.replace("\0", "")
    raw = service_tokens.create_token(body.service, name, person, None, body.instances, expires)
    return Status(201, {"token": raw})


@router.post(
    "/{int:token_id}/rotate",
    response={201: SecretOut, **ERRORS},
    operation_id="rotate_service_token",
)
def rotate_service_token(request: ApiRequest, token_id: int) -> Status[dict[str, str]]:
    """Create the successor of a token; the old one goes on for a while."""
    request.caller.demand_scope("admin")
    raw = service_tokens.rotate_token(_token(request, token_id), request.caller.person)
    return Status(201, {"token": raw})


@router.delete(
    "/{int:token_id}", response={204: None, **ERRORS}, operation_id="revoke_service_token"
)
def revoke_service_token(request: ApiRequest, token_id: int) -> Status[None]:
    """Revoke a token at once. Open sockets close within seconds."""
    request.caller.demand_scope("admin")
    service_tokens.revoke_token(_token(request, token_id), request.caller.person)
    return Status(204, None)


def _token(request: ApiRequest, pk: int) -> ServiceToken:
    demand(request.caller.person, ADMINISTER, ())
    row = ServiceToken.objects.filter(pk=pk).first() if pk < 2**63 else None
    if row is None or row.service not in services_with(request.caller.person, ADMINISTER):
        raise not_found(f"There is no token {pk} of a service that you administer.")
    return row
