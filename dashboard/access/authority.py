"""Who may do what with which service. Deny by default: without a role nothing is visible.

A permission is held on all services (a superuser, or a member of a role's group) or on the services
of a team (an object permission of django-guardian on the team).
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from guardian.shortcuts import get_objects_for_user

from dashboard.access.models import Person, Team, TeamService
from dashboard.access.roles import VIEW

Anyone = Person | AnonymousUser


class ServiceSet:
    """The services on which a person holds a permission: all, or those that match patterns."""

    def __init__(self, is_all: bool, patterns: Iterable[str] = ()) -> None:
        self.is_all = is_all
        self.patterns = frozenset(patterns)
        self._names = frozenset(each for each in self.patterns if "*" not in each)
        self._globs = tuple(sorted(self.patterns - self._names))

    def __contains__(self, service: object) -> bool:
        if self.is_all:
            return True
        return service in self._names or any(
            fnmatchcase(str(service), _escaped(each)) for each in self._globs
        )

    def __bool__(self) -> bool:
        return self.is_all or bool(self.patterns)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ServiceSet) and (self.is_all, self.patterns) == (
            other.is_all,
            other.patterns,
        )

    def __hash__(self) -> int:
        return hash((self.is_all, self.patterns))

    def among(self, services: Iterable[str]) -> frozenset[str]:
        """Those of the given services that are in the set."""
        return frozenset(each for each in services if each in self)


def _escaped(pattern: str) -> str:
    # Only `*` is special in a team's pattern.
    return pattern.replace("[", "[[]").replace("?", "[?]")


def services_with(person: Anyone, permission: str) -> ServiceSet:
    """The services on which a person holds a permission."""
    if not (isinstance(person, Person) and person.is_active):
        return ServiceSet(False)
    if person.has_perm(permission):
        return ServiceSet(True)
    teams = get_objects_for_user(
        person, permission, klass=Team, use_groups=False, accept_global_perms=False
    )
    patterns = TeamService.objects.filter(team__in=teams).values_list("service", flat=True)
    return ServiceSet(False, patterns)


def visible_services(person: Anyone) -> ServiceSet:
    """The services that a person sees."""
    return services_with(person, VIEW)


def may(person: Anyone, permission: str, service: str) -> bool:
    """Whether a person holds a permission on a service."""
    return service in services_with(person, permission)


def may_anywhere(person: Anyone, permission: str) -> bool:
    """Whether a person holds a permission on any service."""
    return bool(services_with(person, permission))


def demand(person: Person, permission: str, services: Iterable[str] | None = None) -> None:
    """Raise `PermissionDenied` unless the person holds a permission on the services, or on all
    services if None is given. Every write operation calls it."""
    held = services_with(person, permission)
    what = permission.partition(".")[2].replace("_", " ")
    if services is None:
        if not held.is_all:
            raise PermissionDenied(f"{person.get_username()} may not {what} everywhere")
        return
    for each in services:
        if each not in held:
            raise PermissionDenied(f"{person.get_username()} may not {what} of {each}")
    if not held:
        raise PermissionDenied(f"{person.get_username()} may not {what}")


def teams_of(service: str) -> list[Team]:
    """The teams that own a service."""
    found = {
        row.team_id: row.team
        for row in TeamService.objects.select_related("team")
        if service in ServiceSet(False, [row.service])
    }
    return sorted(found.values(), key=lambda team: team.name)
