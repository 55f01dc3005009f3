"""Second approval: an act above a reach waits until another person approves it.

SWITCHGEAR_APPROVAL_INSTANCES and SWITCHGEAR_APPROVAL_SERVICES set the reach above which an act
needs approval. The requester may break glass, which performs the act at once, writes it to the
audit trail and logs it as critical.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone

from dashboard.access.authority import demand
from dashboard.access.models import Person
from dashboard.access.roles import OPERATE
from dashboard.access.services import audit
from dashboard.control import actions
from dashboard.control.actions import Outcome
from dashboard.control.models import PendingAct
from dashboard.control.override_writes import AUTOMATIC, Target
from dashboard.control.validation import check_reason
from dashboard.fleet.snapshot.reads import snapshot

logger = logging.getLogger("switchgear.control")
PENDING: Final = "pending"
# Why an act waits that a program has proposed.
BY_PROGRAM: Final = "It was proposed by a program"
APPROVED, REJECTED, BROKE_GLASS = "approved", "rejected", "break glass"
# A request that nobody has decided by then is void.
VALID_FOR: Final = timedelta(minutes=30)
MAX_PENDING: Final = 200


class ApprovalNeeded(Exception):
    """The act waits for a second person."""

    def __init__(self, pending: PendingAct) -> None:
        super().__init__(f"{pending.why}: it waits for the approval of a second person.")
        self.pending = pending


def perform(
    person: Person,
    id: str,
    targets: Sequence[Target],
    state: str,
    reason: str,
    expires_in_s: float | None = None,
    share: float | None = None,
    *,
    break_glass: bool = False,
    proposed: bool = False,
) -> Outcome:
    """Perform an act, or raise `ApprovalNeeded` if it needs a second person, or if it is only
    `proposed` (by a program).

    Raises:
        PermissionDenied: the person may not operate.
        ValidationError: by field.
        ApprovalNeeded: it was stored for approval.
    """
    why = BY_PROGRAM if proposed else why_approval(targets, state)
    if not why or (break_glass and not proposed):
        if why:
            services = sorted({each.service for each in targets})
            demand(person, OPERATE, services)
            check_reason(reason.strip())
            _break_glass(person, id, state, reason, services)
        return actions.act(person, id, targets, state, reason, expires_in_s, share)
    actions.check(person, targets, state, reason, expires_in_s, share)
    raise ApprovalNeeded(_ask(person, id, targets, state, reason, expires_in_s, share, why))


def why_approval(targets: Sequence[Target], state: str) -> str:
    """Why an act needs approval, or an empty text. Returning to automatic never does."""
    if state == AUTOMATIC:
        return ""
    services = {each.service for each in targets}
    most = settings.APPROVAL_SERVICES
    if most and len(services) > most:
        return f"It reaches {len(services)} services, more than {most}"
    most = settings.APPROVAL_INSTANCES
    if most and (reached := _instances(targets)) > most:
        return f"It reaches {reached} instances, more than {most}"
    return ""


def _instances(targets: Sequence[Target]) -> int:
    at = {
        (service["name"], each["name"]): {one["id"] for one in each["instances"]}
        for service in snapshot()["services"]
        for each in service["breakers"]
    }
    reached = set()
    for each in targets:
        known = at.get((each.service, each.breaker), set())
        named = known if each.instances is None else known & set(each.instances)
        reached |= {(each.service, one) for one in named}
    return len(reached)


@transaction.atomic
def _ask(
    person: Person,
    id: str,
    targets: Sequence[Target],
    state: str,
    reason: str,
    expires_in_s: float | None,
    share: float | None,
    why: str,
) -> PendingAct:
    existing = PendingAct.objects.filter(pk=id).first()
    if existing is not None:
        if existing.person_id != person.pk:
            raise ValidationError({"id": "This id names another act; give a new one."})
        return existing
    fresh = PendingAct.objects.filter(decision="", created__gt=timezone.now() - VALID_FOR)
    if fresh.count() >= MAX_PENDING:
        raise ValidationError({"id": f"{MAX_PENDING} acts wait for approval; decide them first."})
    row = PendingAct.objects.create(
        id=id,
        person=person,
        by=person.get_username(),
        state=state,
        reason=reason.strip(),
        targets=[[each.service, each.breaker, each.instances] for each in targets],
        expires_in_s=expires_in_s,
        share=share,
        why=why,
    )
    for service in sorted({each.service for each in targets}):
        audit(person, "approval requested", service=service, reason=reason, part_of=id, state=state)
    return row


def pending() -> Any:
    """The acts that wait for approval, newest first."""
    return PendingAct.objects.filter(decision="", created__gt=timezone.now() - VALID_FOR)


def approve(person: Person, id: str) -> Outcome:
    """Approve and perform an act of another person.

    Raises:
        PermissionDenied: one's own act, or a person who may not operate there.
        ValidationError: it is not waiting any more.
    """
    with transaction.atomic():
        row = _decide(person, id, APPROVED)
        if row.person_id == person.pk:
            raise PermissionDenied("Another person must approve this.")
    return _perform(row)


@transaction.atomic
def reject(person: Person, id: str) -> None:
    """Reject an act, or withdraw one's own.

    Raises:
        PermissionDenied: the person may not operate there.
        ValidationError: it is not waiting any more.
    """
    _decide(person, id, REJECTED)


def break_glass(person: Person, id: str) -> Outcome:
    """Perform one's own act without the second person.

    Raises:
        PermissionDenied: another person's act, or one that a program proposed.
        ValidationError: it is not waiting any more.
    """
    with transaction.atomic():
        row = _decide(person, id, BROKE_GLASS)
        if row.person_id != person.pk:
            raise PermissionDenied("Approve it instead: it is another person's.")
        if row.why == BY_PROGRAM:
            # The program has the token of this person: it could say yes to itself.
            raise PermissionDenied("A program proposed it: another person must approve it.")
        services = sorted({service for service, _, _ in row.targets})
        _break_glass(person, id, row.state, row.reason, services)
    return _perform(row)


def _break_glass(person: Person, id: str, state: str, reason: str, services: list[str]) -> None:
    for service in services:
        audit(person, BROKE_GLASS, service=service, reason=reason, part_of=id, state=state)
    logger.critical(
        "BREAK GLASS: %s performed %s on %s without a second person: %s",
        *(person.get_username(), state, ", ".join(services)[:500], reason),
    )


def _decide(person: Person, id: str, decision: str) -> PendingAct:
    row = PendingAct.objects.filter(pk=id).first()
    if row is None:
        raise ValidationError({"act": f"No act {id[:36]!r} waits for approval."})
    services = sorted({service for service, _, _ in row.targets})
    demand(person, OPERATE, services)
    changed = (
        pending()
        .filter(pk=id)
        .update(decision=decision, decided=timezone.now(), decided_by=person.get_username())
    )
    if not changed:
        raise ValidationError({"act": f"It was {row.decision or 'left undecided for too long'}."})
    for service in services:
        audit(person, f"approval: {decision}", service=service, reason=row.reason, part_of=id)
    return row


def _perform(row: PendingAct) -> Outcome:
    assert row.person is not None
    targets = [
        Target(service, breaker, tuple(instances) if instances else None)
        for service, breaker, instances in row.targets
    ]
    return actions.act(
        row.person, row.pk, targets, row.state, row.reason, row.expires_in_s, row.share
    )
