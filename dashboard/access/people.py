"""Write operations on people, their roles, and teams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from guardian.models import UserObjectPermission
from guardian.shortcuts import assign_perm, remove_perm

from breakers.protocol import names
from dashboard.access.authority import demand
from dashboard.access.models import Person, Team, TeamService
from dashboard.access.roles import ADMIN, ADMINISTER, PERMISSIONS, ROLES, VIEWER
from dashboard.access.services import audit

MAX_TEAMS: Final = 1000
MAX_TEAM_SERVICES: Final = 500


@transaction.atomic
def keep_person(username: str, role: str | Sequence[str], password: str | None = None) -> Person:
    """Create or change a person: `role` is one role on all services or several; None keeps the
    password. Used by management commands, which need no authority.

    Raises:
        ValidationError: an unknown role or a password that is too weak.
    """
    roles = [role] if isinstance(role, str) else list(role)
    for each in roles:
        check_role(each)
    person, _ = Person.objects.get_or_create(username=username)
    if password is not None:
        validate_password(password, person)
        person.set_password(password)
    person.full_clean(exclude=["password"])
    person.save()
    set_roles(None, person, roles)
    return person


@transaction.atomic
def admit(actor: Person, username: str, roles: Sequence[str], is_active: bool = True) -> Person:
    """Create a person without a password, or change one: the roles on all services, and whether
    the account is active.

    Raises:
        PermissionDenied: the actor does not administer all services.
        ValidationError: by field.
    """
    demand(actor, ADMINISTER)
    person = Person.objects.filter(username=username).first() if "\0" not in username else None
    if person is None:
        person = Person(username=username)
        person.set_unusable_password()
        person.full_clean(exclude=["password"])
    was_active, person.is_active = person.is_active, is_active
    person.save()
    set_roles(actor, person, roles)
    if was_active != is_active:
        act = "account activated" if is_active else "account deactivated"
        audit(actor, act, username=username)
    return person


def check_role(role: str) -> None:
    """Raise `ValidationError` unless the role exists."""
    if role not in ROLES:
        raise ValidationError({"role": f"{role!r} is not a role; there are {', '.join(ROLES)}."})


@transaction.atomic
def set_roles(actor: Person | None, person: Person, roles: Sequence[str]) -> None:
    """Set a person's roles on all services. `actor` None stands for a management command.

    Raises:
        PermissionDenied: the actor does not administer all services.
        ValidationError: an unknown role.
    """
    if actor is not None:
        demand(actor, ADMINISTER)
    for each in roles:
        check_role(each)
    before = sorted(person.groups.values_list("name", flat=True))
    person.is_superuser = ADMIN in roles
    person.is_staff = any(each != VIEWER for each in roles)
    person.save(update_fields=["is_superuser", "is_staff"])
    person.groups.set(Group.objects.filter(name__in=roles))
    audit(actor, "roles set", username=person.username, before=before, roles=sorted(roles))


@transaction.atomic
def grant_role(actor: Person, person: Person, team: Team, role: str) -> None:
    """Grant a role on the services of a team, in place of the person's roles there.

    Raises:
        PermissionDenied: the actor does not administer the team's services.
        ValidationError: an unknown role.
    """
    _demand_team(actor, team)
    check_role(role)
    _clear(person, team)
    for permission in sorted(PERMISSIONS[role]):
        assign_perm(permission.partition(".")[2], person, team)
    audit(actor, "role granted", team=team.name, username=person.username, role=role)


@transaction.atomic
def withdraw_role(actor: Person, person: Person, team: Team) -> None:
    """Withdraw a person's role on the services of a team.

    Raises:
        PermissionDenied: the actor does not administer the team's services.
    """
    _demand_team(actor, team)
    _clear(person, team)
    audit(actor, "role withdrawn", team=team.name, username=person.username)


@transaction.atomic
def set_roles_of_groups(person: Person, groups: Sequence[str]) -> None:
    """Set a person's roles from the groups of an OpenID provider, as SWITCHGEAR_OIDC_ROLES maps
    them. Roles that no group grants are withdrawn; without the setting nothing changes."""
    if not settings.OIDC_ROLES:
        return
    everywhere: set[str] = set()
    on_teams: dict[str, str] = {}
    for mapping in settings.OIDC_ROLES:
        group, _, granted = mapping.partition("=")
        role, _, team = granted.partition("@")
        if group in groups and role in ROLES:
            if team:
                on_teams[team] = role
            else:
                everywhere.add(role)
    if everywhere != set(person.groups.values_list("name", flat=True)):
        set_roles(None, person, sorted(everywhere))
    for each in Team.objects.all():
        before = team_roles(each).get(person.username)
        if before != (after := on_teams.get(each.name)):
            _clear(person, each)
            for permission in sorted(PERMISSIONS[after]) if after else ():
                assign_perm(permission.partition(".")[2], person, each)
            audit(None, "role granted", team=each.name, username=person.username, role=after or "")


@transaction.atomic
def keep_team(actor: Person | None, name: str, services: Sequence[str]) -> Team:
    """Create a team, or change the services that it owns. A `*` in a service stands for any
    characters.

    Raises:
        PermissionDenied: the actor does not administer all services.
        ValidationError: by field.
    """
    if actor is not None:
        demand(actor, ADMINISTER)
    name = name.strip()
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise ValidationError({"name": "A team has a name of 1 to 80 printable characters."})
    if len(services) > MAX_TEAM_SERVICES:
        too_many = f"{len(services)} services; at most {MAX_TEAM_SERVICES}."
        raise ValidationError({"services": too_many})
    for each in services:
        if wrong := names.problem(each):
            raise ValidationError({"services": f"{each[:40]!a} cannot be a name: {wrong}."})
    if Team.objects.exclude(name=name).count() >= MAX_TEAMS:
        raise ValidationError({"name": f"At most {MAX_TEAMS} teams; delete one first."})
    team, _ = Team.objects.get_or_create(name=name)
    team.services.all().delete()
    TeamService.objects.bulk_create(
        TeamService(team=team, service=each) for each in sorted(set(services))
    )
    audit(actor, "team kept", team=name, services=sorted(set(services)))
    return team


@transaction.atomic
def delete_team(actor: Person, team: Team) -> None:
    """Delete a team and the roles on it.

    Raises:
        PermissionDenied: the actor does not administer all services.
    """
    demand(actor, ADMINISTER)
    audit(actor, "team deleted", team=team.name)
    UserObjectPermission.objects.filter(
        object_pk=str(team.pk), content_type__app_label="access", content_type__model="team"
    ).delete()
    team.delete()


def team_roles(team: Team) -> dict[str, str]:
    """The role of each member of a team, by username."""
    held: dict[str, set[str]] = {}
    rows = UserObjectPermission.objects.filter(
        object_pk=str(team.pk), content_type__app_label="access", content_type__model="team"
    ).values_list("user__username", "permission__codename")
    for username, codename in rows:
        held.setdefault(username, set()).add(f"access.{codename}")
    return {username: _role_with(found) for username, found in sorted(held.items())}


def _role_with(held: set[str]) -> str:
    return max(
        (role for role in ROLES if held >= PERMISSIONS[role]),
        key=lambda role: len(PERMISSIONS[role]),
        default=VIEWER,
    )


def _demand_team(actor: Person, team: Team) -> None:
    if not actor.has_perm("access.administer_services", team):
        demand(actor, ADMINISTER)


def _clear(person: Person, team: Team) -> None:
    for permission in PERMISSIONS[ADMIN]:
        remove_perm(permission.partition(".")[2], person, team)
