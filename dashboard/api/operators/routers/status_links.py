"""Links to the status page: list, create and revoke them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from ninja import Router, Schema, Status
from pydantic import Field

from dashboard.access import status_links
from dashboard.access.authority import demand
from dashboard.access.models import StatusLink
from dashboard.access.roles import SHARE_STATUS
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import Problem, not_found

router = Router(tags=["status links"])
ERRORS = dict.fromkeys((401, 403, 404, 409, 422, 429), Problem)
Days = Annotated[int, Field(ge=1, le=status_links.LONGEST.days)]


class StatusLinkIn(Schema):
    """Whom it is for, of which services (all if missing), and for how long."""

    name: str
    services: list[str] | None = None
    expires_in_days: Days = 90


class StatusLinkOut(Schema):
    id: int
    name: str
    prefix: str
    services: list[str] | None
    created: datetime
    expires: datetime
    revoked: datetime | None


class AddressOut(Schema):
    """The address, which is not shown again."""

    url: str


@router.get("", response={200: list[StatusLinkOut], **ERRORS}, operation_id="list_status_links")
def list_status_links(request: ApiRequest) -> list[StatusLink]:
    """The latest 500 links."""
    request.caller.demand_scope("admin")
    demand(request.caller.person, SHARE_STATUS)
    return list(StatusLink.objects.all()[:500])


@router.post("", response={201: AddressOut, **ERRORS}, operation_id="create_status_link")
def create_status_link(request: ApiRequest, body: StatusLinkIn) -> Status[dict[str, str]]:
    """Create a link for readers without an account."""
    request.caller.demand_scope("admin")
    expires = timezone.now() + timedelta(days=body.expires_in_days)
    raw = status_links.create_status_link(request.caller.person, body.name, expires, body.services)
    return Status(201, {"url": settings.PUBLIC_URL + reverse("status", args=[raw])})


@router.delete("/{int:link}", response={204: None, **ERRORS}, operation_id="revoke_status_link")
def revoke_status_link(request: ApiRequest, link: int) -> Status[None]:
    """Revoke a link at once."""
    request.caller.demand_scope("admin")
    demand(request.caller.person, SHARE_STATUS)
    row = StatusLink.objects.filter(pk=link).first() if link < 2**63 else None
    if row is None:
        raise not_found(f"There is no link {link}.")
    status_links.revoke_status_link(row, request.caller.person)
    return Status(204, None)
