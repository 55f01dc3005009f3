"""Services and their breakers, as the fleet snapshot has them."""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import HttpResponse
from ninja import Router, Schema, Status

from dashboard.access.authority import demand, visible_services
from dashboard.access.roles import ADMINISTER
from dashboard.api.operators.conditional import demand_match, set_etag
from dashboard.api.operators.pagination import Cursor, Limit, page_of_list
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import Problem, not_found
from dashboard.control import instances
from dashboard.fleet import dependents
from dashboard.fleet.snapshot.reads import snapshot

router = Router(tags=["services"])
ERRORS = dict.fromkeys((401, 403, 404, 412, 422, 428, 429), Problem)


class BreakerSummary(Schema):
    """A breaker over all its instances."""

    name: str
    state: str
    level: str | None = None
    rate: float
    instances: int
    override: dict[str, Any] | None = None


class ServiceOut(Schema):
    """A service: its instances and breakers."""

    name: str
    instances: int
    breakers: list[BreakerSummary]


class DependentsOut(Schema):
    """The services whose word counts for a service's status, and how many must agree."""

    dependents: list[str]
    quorum: int


class DependentsIn(Schema):
    """No dependents: the declaration is withdrawn."""

    dependents: list[str]
    quorum: int = 1


class ServicePage(Schema):
    items: list[ServiceOut]
    next: str | None


@router.get("", response={200: ServicePage, **ERRORS}, operation_id="list_services")
def list_services(request: ApiRequest, cursor: Cursor = "", limit: Limit = 100) -> dict[str, Any]:
    """The services that the caller sees, by name."""
    request.caller.demand_scope("read")
    visible = visible_services(request.caller.person)
    found = [_service(each) for each in snapshot()["services"] if each["name"] in visible]
    return page_of_list(found, lambda each: str(each["name"]), cursor, limit)


@router.get("/{name:service}", response={200: ServiceOut, **ERRORS}, operation_id="get_service")
def get_service(request: ApiRequest, service: str) -> dict[str, Any]:
    """One service."""
    request.caller.demand_scope("read")
    if service in visible_services(request.caller.person):
        for each in snapshot(service)["services"]:
            return _service(each)
    raise not_found(f"No service is named {service[:120]!r}.")


@router.get(
    "/{name:service}/dependents",
    response={200: DependentsOut, **ERRORS},
    operation_id="get_dependents",
)
def get_dependents(request: ApiRequest, response: HttpResponse, service: str) -> dict[str, Any]:
    """The declared dependents of a service, with an ETag."""
    request.caller.demand_scope("read")
    _demand_visible(request, service)
    found = dependents.declared(service)
    set_etag(response, _version(found))
    return _declaration(found)


@router.put(
    "/{name:service}/dependents",
    response={200: DependentsOut, **ERRORS},
    operation_id="put_dependents",
)
def put_dependents(
    request: ApiRequest, response: HttpResponse, service: str, body: DependentsIn
) -> dict[str, Any]:
    """Declare the services whose word counts for a service's status (with If-Match)."""
    request.caller.demand_scope("admin")
    demand(request.caller.person, ADMINISTER, [service])
    before = dependents.declared(service)
    demand_match(request, _version(before))
    seen = before.version() if before else ""
    found = dependents.declare(request.caller.person, service, body.dependents, body.quorum, seen)
    set_etag(response, _version(found))
    return _declaration(found)


def _version(found: dependents.Declaration | None) -> str:
    text = found.version() if found else ""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _declaration(found: dependents.Declaration | None) -> dict[str, Any]:
    if found is None:
        return {"dependents": [], "quorum": 1}
    return {"dependents": list(found.dependents), "quorum": found.quorum}


def _demand_visible(request: ApiRequest, service: str) -> None:
    if "\0" in service or service not in visible_services(request.caller.person):
        raise not_found(f"No service is named {service[:120]!r}.")


@router.delete(
    "/{name:service}/instances/{name:instance}",
    response={204: None, **ERRORS},
    operation_id="forget_instance",
)
def forget_instance(request: ApiRequest, service: str, instance: str) -> Status[None]:
    """Forget a silent instance before its ten minutes are over."""
    request.caller.demand_scope("operate")
    _demand_visible(request, service)
    instances.forget_instance(request.caller.person, service, instance)
    return Status(204, None)


def _service(view: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": view["name"],
        "instances": len(view["instances"]),
        "breakers": [_breaker(each) for each in view["breakers"]],
    }


def _breaker(view: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": view["name"],
        "state": view["state"],
        "level": view.get("level"),
        "rate": view["rate"],
        "instances": len(view["instances"]),
        "override": view["override"],
    }
