"""Acts on many breakers at once, and their undoing.

Each service is done in one transaction of its own: a service that fails leaves the others done and
is reported as failed. The browser names each act; the same name again goes on with what is not done
yet and does nothing twice.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.utils import timezone

from dashboard.access.authority import demand
from dashboard.access.models import Person
from dashboard.access.roles import OPERATE
from dashboard.control.models import Act, ActPart
from dashboard.control.override_writes import (
    AUTOMATIC,
    UNDO,
    Change,
    Step,
    Target,
    force,
    put_back,
    release,
)
from dashboard.control.validation import check_force, check_names, check_reason
from dashboard.fleet.services import bump_revision

logger = logging.getLogger("switchgear.control")

RESET: Final = "reset"
MAX_TARGETS: Final = 5000
# Forced closed for a moment, then automatic: every instance comes out with a fresh window. It is
# long enough for agents to hear of it and to report that they obey.
RESET_S: Final = 10.0

Do = Callable[[Step, list[Target]], list[Change]]


@dataclass
class Part:
    """How an act went in one service. `made` has the override made of each breaker, if one was;
    `kept` says of a breaker why it was left as it was; `error` says that nothing was done."""

    service: str
    made: dict[str, str | None] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    error: str = ""


@dataclass
class Outcome:
    """How an act went, service by service."""

    id: str
    state: str
    parts: list[Part]


def act(
    person: Person,
    id: str,
    targets: Sequence[Target],
    state: str,
    reason: str,
    expires_in_s: float | None = None,
    share: float | None = None,
) -> Outcome:
    """Force breakers to `state` for a time, or with `automatic` or `reset` return them. `share` is
    what `forced_partial` lets through, above 0 and up to 1.

    Raises:
        PermissionDenied: the person may not operate.
        ValidationError: by field; then nothing was done.
    """
    check(person, targets, state, reason, expires_in_s, share)
    reason = reason.strip()
    forced, seconds = ("forced_closed", RESET_S) if state == RESET else (state, expires_in_s or 0.0)
    row = _begin(person, id, state, reason, _digest(state, reason, targets, share))
    until = timezone.now() + timedelta(seconds=seconds)

    def do(step: Step, of: list[Target]) -> list[Change]:
        if state == AUTOMATIC:
            return release(step, of)
        return force(step, of, forced, until, share)

    return _each_service(row, person, targets, do)


def check(
    person: Person,
    targets: Sequence[Target],
    state: str,
    reason: str,
    expires_in_s: float | None = None,
    share: float | None = None,
) -> None:
    """Check an act without performing it; raises as `act` does."""
    demand(person, OPERATE, sorted({each.service for each in targets}))
    check_reason(reason.strip())
    _check_targets(targets)
    forced, seconds = ("forced_closed", RESET_S) if state == RESET else (state, expires_in_s or 0.0)
    for each in targets:
        if state == AUTOMATIC:
            check_names(each.service, each.breaker)
        else:
            check_force(each.service, each.breaker, forced, seconds, each.instances, share)


def undo(person: Person, id: str, undone: str) -> Outcome:
    """Put back what stood before an act, where nobody has changed it since.

    Raises:
        PermissionDenied: the person may not operate.
        ValidationError: there is no such act, or it cannot be undone.
    """
    demand(person, OPERATE, ())
    done = Act.objects.filter(pk=undone).first()
    if done is None or done.state == RESET:
        why = "A reset cannot be undone." if done else f"There is no act {undone[:36]!r}."
        raise ValidationError({"act": why})
    demand(person, OPERATE, done.parts.values_list("service", flat=True))
    reason = f"undid: {done.reason}"[:500]
    row = _begin(person, id, UNDO, reason, _digest(UNDO, undone), undoes=done)
    parts = {part.service: part for part in done.parts.all()}
    targets = [
        Target(service, change["breaker"])
        for service, part in parts.items()
        for change in part.changes
    ]

    def do(step: Step, of: list[Target]) -> list[Change]:
        return put_back(step, [Change(**each) for each in parts[step.service].changes])

    return _each_service(row, person, targets, do)


def _check_targets(targets: Sequence[Target]) -> None:
    if not targets:
        raise ValidationError({"targets": "Choose at least one breaker."})
    if len(targets) > MAX_TARGETS:
        many = f"{len(targets)} breakers; at most {MAX_TARGETS} at once."
        raise ValidationError({"targets": many})
    if len({(each.service, each.breaker) for each in targets}) < len(targets):
        raise ValidationError({"targets": "A breaker is named twice."})


def _digest(*what: object) -> str:
    return hashlib.sha256(json.dumps(what, default=vars, sort_keys=True).encode()).hexdigest()


def _begin(
    person: Person, id: str, state: str, reason: str, targets: str, undoes: Act | None = None
) -> Act:
    if not 8 <= len(id) <= 36 or not id.isascii() or not id.isprintable():
        raise ValidationError({"id": "An act is named by 8 to 36 printable ASCII characters."})
    row, made = Act.objects.get_or_create(
        id=id,
        defaults={
            "person": person,
            "by": person.get_username(),
            "state": state,
            "reason": reason,
            "targets": targets,
            "undoes": undoes,
        },
    )
    if not made and (row.person_id, row.targets) != (person.pk, targets):
        raise ValidationError({"id": "This id names another act; give a new one."})
    return row


def _each_service(row: Act, person: Person, targets: Sequence[Target], do: Do) -> Outcome:
    services: dict[str, list[Target]] = {}
    for each in targets:
        services.setdefault(each.service, []).append(each)
    parts = []
    for service, of in sorted(services.items()):
        try:
            part = _one_service(row, person, service, of, do)
        except DatabaseError:
            logger.exception("act %s could not be done in %s", row.id, service)
            parts.append(Part(service, error="The database refused it; nothing was done here."))
            continue
        made = {each["breaker"]: each["made"] for each in part.changes}
        parts.append(Part(service, made, dict(part.kept)))
    return Outcome(row.id, row.state, parts)


@transaction.atomic
def _one_service(row: Act, person: Person, service: str, of: list[Target], do: Do) -> ActPart:
    # The service's row is locked by its new revision: acts on one service follow one another.
    step = Step(person, row.id, row.state, row.reason, service, bump_revision(service))
    done = ActPart.objects.filter(act=row, service=service).first()
    if done is not None:
        return done
    changes = [vars(each) for each in do(step, of)]
    return ActPart.objects.create(act=row, service=service, changes=changes, kept=step.kept)
