"""Overrides that the quorum rule makes: short, named as such, and ended by the rule itself."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.utils import timezone

from dashboard.access.services import audit
from dashboard.control.models import Override
from dashboard.fleet.quorum import BY, QuorumEnd, QuorumTrip
from dashboard.fleet.services import bump_revision

# After a person has ended an override of the rule, the rule leaves the breaker alone for so long.
_REST: Final = timedelta(minutes=5)


def trip(due: QuorumTrip) -> bool:
    """Open the rest of a breaker's instances; whether that was done. An override that stands, and
    one of the rule that a person has ended of late, are left alone."""
    now = timezone.now()
    rows = Override.objects.filter(service=due.service, breaker=due.breaker)
    ended = rows.filter(by=BY, ended__gt=now - _REST).exclude(ended_by__in=("", BY))
    if ended.exists():
        return False
    try:
        with transaction.atomic():
            if rows.filter(ended=None).exists():
                return False
            made = Override.objects.create(
                id=secrets.token_hex(8),
                service=due.service,
                breaker=due.breaker,
                instances=list(due.instances),
                state="forced_open",
                reason=due.reason[:500],
                by=BY,
                revision=bump_revision(due.service),
                expires=now + timedelta(seconds=due.hold_s),
            )
            audit(
                None,
                "quorum tripped",
                service=due.service,
                breaker=due.breaker,
                reason=made.reason,
                override=made.id,
                instances=made.instances,
            )
    except IntegrityError:
        # A person or another worker was first.
        return False
    return True


def end(due: QuorumEnd) -> bool:
    """End an override of the rule; whether it still stood."""
    with transaction.atomic():
        standing = Override.objects.filter(pk=due.override, by=BY, ended=None)
        if not standing.update(ended=timezone.now(), ended_by=BY, ended_why=due.reason[:500]):
            return False
        bump_revision(due.service)
        audit(
            None,
            "quorum ended",
            service=due.service,
            breaker=due.breaker,
            reason=due.reason,
            override=due.override,
        )
    return True
