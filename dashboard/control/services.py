"""Writes that no person asks for: overrides that expire, acknowledgements, and their removal."""

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from breakers.protocol import messages as wire
from dashboard.access.services import audit
from dashboard.common.batch_deletion import sweep
from dashboard.control import drills, recordings
from dashboard.control.ack_rows import Answer, store
from dashboard.control.models import Ack, Override
from dashboard.fleet.services import bump_revision

_ACKS_KEPT_FOR = timedelta(days=90)


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
    recordings.forget_old()
    drills.forget_old()
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
    drills.record_acks(acks)
