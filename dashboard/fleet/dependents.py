"""Declared dependents of a service: the services whose word counts for its status, and how many of
them must agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction

from breakers.protocol import names
from dashboard.access.authority import demand
from dashboard.access.models import Person
from dashboard.access.roles import ADMINISTER
from dashboard.access.services import audit
from dashboard.fleet.models import Service

MAX_DEPENDENTS: Final = 100


@dataclass(frozen=True, slots=True)
class Declaration:
    """Services that depend on one, and how many of them must refuse calls to it before its status
    says disrupted."""

    dependents: tuple[str, ...]
    quorum: int

    def version(self) -> str:
        """What a person has seen of it."""
        return f"{self.quorum}:{','.join(self.dependents)}"


def declared(service: str) -> Declaration | None:
    """What is declared for a service; None where nothing is."""
    row = Service.objects.filter(name=service).only("dependents", "status_quorum").first()
    return _of(row) if row is not None else None


def all_declared() -> dict[str, Declaration]:
    """What is declared for every service that has a declaration."""
    rows = Service.objects.exclude(dependents=[]).only("name", "dependents", "status_quorum")
    return {row.name: found for row in rows if (found := _of(row)) is not None}


def _of(row: Service) -> Declaration | None:
    return Declaration(tuple(row.dependents), row.status_quorum) if row.dependents else None


@transaction.atomic
def declare(
    person: Person, service: str, dependents: Sequence[str], quorum: int, seen: str | None = None
) -> Declaration | None:
    """Declare the dependents of a service; none of them withdraws the declaration. `seen` is the
    version that the person has seen, if they have.

    Raises:
        PermissionDenied: the person does not administer the service.
        ValidationError: by field; then nothing was done.
    """
    demand(person, ADMINISTER, [service])
    errors: dict[str, str] = {}
    wanted = sorted(set(dependents))
    if len(wanted) > MAX_DEPENDENTS:
        errors["dependents"] = f"{len(wanted)} services; at most {MAX_DEPENDENTS}."
    for each in wanted:
        if wrong := names.problem(each):
            errors["dependents"] = f"{each[:120]!a} cannot be a name: {wrong}."
        elif each == service:
            errors["dependents"] = f"{service} cannot depend on itself."
    if wanted and not errors and not 1 <= quorum <= len(wanted):
        errors["quorum"] = f"{quorum}; it must be from 1 to {len(wanted)}, the dependents named."
    row = Service.objects.select_for_update().filter(name=service).first()
    if row is None:
        errors["service"] = f"No instance of {service[:120]!r} has reported."
    if errors:
        raise ValidationError(errors)
    assert row is not None
    before = _of(row)
    if seen is not None and seen != (before.version() if before else ""):
        raise ValidationError({"dependents": "Someone has changed them meanwhile; look again."})
    row.dependents, row.status_quorum = wanted, quorum if wanted else 1
    row.save(update_fields=["dependents", "status_quorum"])
    after = _of(row)
    audit(
        person,
        "dependents declared",
        service=service,
        dependents=wanted,
        quorum=row.status_quorum,
        before=list(before.dependents) if before else [],
    )
    return after
