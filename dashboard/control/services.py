"""The acts of operators. Authority and audit live here, so that every face inherits them."""

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from breakers.protocol import messages as wire
from dashboard.access.authority import demand
from dashboard.access.models import Person
from dashboard.access.roles import OPERATE
from dashboard.access.services import audit
from dashboard.common.batch_deletion import sweep
from dashboard.control import override_writes
from dashboard.control.ack_rows import Answer, store
from dashboard.control.models import Ack, Override
from dashboard.control.override_writes import Step, Target
from dashboard.control.validation import check_force, check_reason
from dashboard.fleet.services import bump_revision

_ACKS_KEPT_FOR = timedelta(days=90)


def force(
    person: Person,
    service: str,
    breaker: str,
    state: str,
    reason: str,
    expires_in_s: float,
    instances: Sequence[str] | None = None,
) -> Override:
    """Force a breaker to a state on its instances, until the expiry or until released.

    Raises:
        PermissionDenied: the person may not operate.
        ValidationError: by field, with what would be right.
    """
    demand(person, OPERATE, [service])
    reason = reason.strip()
    check_force(service, breaker, state, expires_in_s, instances)
    check_reason(reason)
    target = Target(service, breaker, tuple(instances) if instances else None)
    until = timezone.now() + timedelta(seconds=expires_in_s)
    with transaction.atomic():
        step = Step(person, "", state, reason, service, bump_revision(service))
        (change,) = override_writes.force(step, [target], state, until)
        return Override.objects.get(pk=change.made)


def lift(person: Person, service: str, breaker: str, reason: str) -> bool:
    """Return a breaker to its automatic state; whether there was an override to lift.

    Raises:
        PermissionDenied: the person may not operate.
        ValidationError: no reason.
    """
    demand(person, OPERATE, [service])
    reason = reason.strip()
    check_reason(reason)
    standing = Override.objects.filter(service=service, breaker=breaker, ended=None)
    if not standing.exists():
        return False
    with transaction.atomic():
        step = Step(person, "", override_writes.AUTOMATIC, reason, service, bump_revision(service))
        return bool(override_writes.release(step, [Target(service, breaker)]))


def expire_due() -> int:
    """End every override whose time is over; returns how many. Agents do so by themselves too."""
    due = Override.objects.filter(ended=None, expires__lte=timezone.now())
    ended = 0
    for override in due:
        with transaction.atomic():
            # Compare-and-set: of two workers, and of a person who lifts it just now, one wins.
            if Override.objects.filter(pk=override.pk, ended=None).update(
                ended=override.expires, ended_why="expired"
            ):
                bump_revision(override.service)
                audit(None, "expired", service=override.service, breaker=override.breaker)
                ended += 1
    return ended


def forget_old_acks() -> int:
    """Drop what each instance answered to overrides that ended three months ago. The overrides
    stay: who did what, when and why."""
    return sweep(Ack.objects.filter(override__ended__lt=timezone.now() - _ACKS_KEPT_FOR))


def record_acks(acks: Sequence[tuple[str, wire.Ack]]) -> None:
    """Keep what instances answered to each override: pairs of the service that the answer came for
    and the answer. Where one instance answers twice, the last one is kept."""
    answers = {
        (service, item.id, ack.instance): Answer(
            service, item.id, ack.instance, item.status[:20], item.reason
        )
        for service, ack in acks
        for item in ack.items
        if item.kind == "override" and item.id
    }
    store(list(answers.values()))
