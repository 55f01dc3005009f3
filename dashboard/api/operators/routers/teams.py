"""Teams: the services they own, and the roles of their members."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.http import HttpResponse
from ninja import Router, Schema, Status

from dashboard.access import people
from dashboard.access.authority import demand, may_anywhere
from dashboard.access.models import Person, Team
from dashboard.access.roles import ADMINISTER
from dashboard.api.operators.conditional import demand_match, set_etag
from dashboard.api.operators.pagination import Cursor, Limit, page
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import Problem, not_found

router = Router(tags=["teams"])
ERRORS = dict.fromkeys((401, 403, 404, 409, 412, 422, 428, 429), Problem)


class TeamOut(Schema):
    """A team. `roles` has the role of each member by username."""

    name: str
    services: list[str]
    roles: dict[str, str]


class TeamPage(Schema):
    items: list[TeamOut]
    next: str | None


class TeamIn(Schema):
    """`services` are names, or patterns in which `*` stands for any characters."""

    services: list[str]


class RoleIn(Schema):
    role: str


@router.get("", response={200: TeamPage, **ERRORS}, operation_id="list_teams")
def list_teams(request: ApiRequest, cursor: Cursor = "", limit: Limit = 100) -> dict[str, Any]:
    """The teams, by name. Only people who administer something see them."""
    _demand(request)
    return page(Team.objects.all(), ("name",), cursor, limit, _team, newest_first=False)


@router.get("/{name:team}", response={200: TeamOut, **ERRORS}, operation_id="get_team")
def get_team(request: ApiRequest, response: HttpResponse, team: str) -> dict[str, Any]:
    """One team, with an ETag."""
    _demand(request)
    found = _team(_named(team))
    set_etag(response, _version(found))
    return found


@router.put("/{name:team}", response={200: TeamOut, **ERRORS}, operation_id="put_team")
def put_team(
    request: ApiRequest, response: HttpResponse, team: str, body: TeamIn
) -> dict[str, Any]:
    """Create a team, or change the services that it owns (with If-Match)."""
    request.caller.demand_scope("admin")
    existing = Team.objects.filter(name=team.strip()).first()
    if existing is not None:
        demand(request.caller.person, ADMINISTER)
        demand_match(request, _version(_team(existing)))
    found = _team(people.keep_team(request.caller.person, team, body.services))
    set_etag(response, _version(found))
    return found


@router.delete("/{name:team}", response={204: None, **ERRORS}, operation_id="delete_team")
def delete_team(request: ApiRequest, team: str) -> Status[None]:
    """Delete a team and the roles on it (with If-Match)."""
    request.caller.demand_scope("admin")
    demand(request.caller.person, ADMINISTER)
    existing = _named(team)
    demand_match(request, _version(_team(existing)))
    people.delete_team(request.caller.person, existing)
    return Status(204, None)


@router.put(
    "/{name:team}/members/{name:username}",
    response={200: TeamOut, **ERRORS},
    operation_id="put_team_member",
)
def put_member(request: ApiRequest, team: str, username: str, body: RoleIn) -> dict[str, Any]:
    """Grant a person a role on the team's services."""
    request.caller.demand_scope("admin")
    _demand(request)
    found = _named(team)
    people.grant_role(request.caller.person, _person(username), found, body.role)
    return _team(found)


@router.delete(
    "/{name:team}/members/{name:username}",
    response={200: TeamOut, **ERRORS},
    operation_id="delete_team_member",
)
def delete_member(request: ApiRequest, team: str, username: str) -> dict[str, Any]:
    """Withdraw a person's role on the team's services."""
    request.caller.demand_scope("admin")
    _demand(request)
    found = _named(team)
    people.withdraw_role(request.caller.person, _person(username), found)
    return _team(found)


def _demand(request: ApiRequest) -> None:
    request.caller.demand_scope("admin")
    if not may_anywhere(request.caller.person, ADMINISTER):
        demand(request.caller.person, ADMINISTER)


def _named(name: str) -> Team:
    team = Team.objects.filter(name=name.strip()).first() if "\0" not in name else None
    if team is None:
        raise not_found(f"No team is named {name[:80]!r}.")
    return team


def _person(username: str) -> Person:
    person = Person.objects.filter(username=username).first() if "\0" not in username else None
    if person is None:
        raise not_found(f"Nobody is named {username[:80]!r}.")
    return person


def _team(team: Team) -> dict[str, Any]:
    services = list(team.services.values_list("service", flat=True))
    return {"name": team.name, "services": services, "roles": people.team_roles(team)}


def _version(team: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(team, sort_keys=True).encode()).hexdigest()[:16]
