"""A lease in the database: which process evaluates the rules."""

from __future__ import annotations

from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import Q

from dashboard.alerts.models import EvaluationLease

LEASE_S: Final = 5.0
_NAME: Final = "rules"


def take(holder: str, now: float) -> bool:
    """Take or renew the lease, by compare-and-set. Returns whether `holder` has it.

    A lease far in the future was written before the clock stepped back; it is taken over.
    """
    free = Q(holder=holder) | Q(until__lte=now) | Q(until__gt=now + 2 * LEASE_S)
    rows = EvaluationLease.objects.filter(name=_NAME)
    if rows.filter(free).update(holder=holder, until=now + LEASE_S):
        return True
    if rows.exists():
        return False
    try:
        with transaction.atomic():
            EvaluationLease.objects.create(name=_NAME, holder=holder, until=now + LEASE_S)
    except IntegrityError:
        return False
    return True


def release(holder: str) -> None:
    """Give the lease back, so that another process need not wait for its end."""
    EvaluationLease.objects.filter(name=_NAME, holder=holder).update(until=0.0)
