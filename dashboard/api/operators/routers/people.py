"""The caller, and the people of this installation with their roles."""

from __future__ import annotations

from typing import Annotated, Any

from django.core.exceptions import ValidationError
from ninja import Router, Schema
from pydantic import Field

from dashboard.access import people
from dashboard.access.authority import demand, services_with
from dashboard.access.models import Person
from dashboard.access.roles import ADMINISTER, CHANGE_POLICIES, OPERATE, VIEW
from dashboard.api.operators.pagination import Cursor, Limit, page
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import Problem

me_router = Router(tags=["people"])
router = Router(tags=["people"])
ERRORS = dict.fromkeys((401, 403, 404, 409, 422, 429), Problem)


class Me(Schema):
    """The caller: `may` has the services (names and patterns, `*` for all) of each permission."""

    username: str
    scopes: list[str] | None
    may: dict[str, list[str]]


class PersonOut(Schema):
    """A person, with the roles on all services; those on teams are at /teams."""

    username: str
    roles: list[str]
    is_active: bool


class PersonPage(Schema):
    items: list[PersonOut]
    next: str | None


class PersonIn(Schema):
    """A person without `is_active` cannot log in, and open sessions end. A new person has no
    password: single sign-on, or a reset of the password, is the first way in."""

    username: Annotated[str, Field(min_length=1, max_length=150)]
    roles: list[str]
    is_active: bool = True


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


@router.get("", response={200: PersonPage, **ERRORS}, operation_id="list_people")
def list_people(request: ApiRequest, cursor: Cursor = "", limit: Limit = 100) -> dict[str, Any]:
    """Everybody, by name."""
    request.caller.demand_scope("admin")
    demand(request.caller.person, ADMINISTER)
    return page(Person.objects.all(), ("username",), cursor, limit, _person, newest_first=False)


@router.post("", response={200: PersonOut, **ERRORS}, operation_id="keep_person")
def keep_person(request: ApiRequest, body: PersonIn) -> dict[str, Any]:
    """Create a person, or set the roles of one."""
    request.caller.demand_scope("admin")
    actor = request.caller.person
    if body.username == actor.username:
        raise ValidationError({"username": "Another administrator changes your account."})
    return _person(people.admit(actor, body.username, body.roles, body.is_active))


def _person(person: Person) -> dict[str, Any]:
    roles = sorted(person.groups.values_list("name", flat=True))
    return {"username": person.username, "roles": roles, "is_active": person.is_active}
