"""The acts on an incident by name, as pages and the API take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.core.exceptions import ValidationError

from dashboard.access.models import Person
from dashboard.alerts import services

ACTS: Final = ("acknowledge", "resolve", "assign", "note", "severity", "merge", "split")


@dataclass(frozen=True)
class Given:
    """What acts need besides the incident: each reads its own field."""

    assignee: str = ""
    text: str = ""
    severity: str = ""
    into: int = 0
    firings: Sequence[int] = ()


def perform(person: Person, incident: int, act: str, given: Given) -> int:
    """Perform an act; returns the incident to look at afterwards.

    Raises:
        PermissionDenied: the person may not operate its services.
        ValidationError: by field, or an unknown act.
    """
    if act == "acknowledge":
        services.acknowledge(incident, person)
    elif act == "resolve":
        services.resolve(incident, person)
    elif act == "assign":
        services.assign(incident, person, _person(given.assignee))
    elif act == "note":
        services.add_note(incident, person, given.text)
    elif act == "severity":
        services.set_severity(incident, person, given.severity)
    elif act == "merge":
        services.merge(incident, person, given.into)
        return given.into
    elif act == "split":
        return services.split(incident, person, given.firings).pk
    else:
        raise ValidationError({"act": f"{act[:40]!r} is none of {', '.join(ACTS)}."})
    return incident


def _person(name: str) -> Person | None:
    found = Person.objects.filter(username=name, is_active=True).first() if name else None
    if name and found is None:
        raise ValidationError({"assignee": f"There is no person {name[:150]!r}."})
    return found
