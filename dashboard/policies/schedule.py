"""Policies that come into force, and end, at a set time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone

from dashboard.access.authority import demand
from dashboard.access.models import Person
from dashboard.access.roles import CHANGE_POLICIES
from dashboard.access.services import audit
from dashboard.policies import services
from dashboard.policies.models import BreakerPolicy, PolicyVersion, ScheduledChange
from dashboard.policies.queries import layers

MAX_WAITING: Final = 500


def schedule(
    person: Person,
    service: str,
    breaker: str,
    fields: Mapping[str, Any],
    reason: str,
    starts: datetime,
    ends: datetime | None = None,
) -> ScheduledChange:
    """Put a policy in force at `starts`; at `ends` the version before it comes back.

    Raises:
        ValidationError: at the field that is wrong.
    """
    demand(person, CHANGE_POLICIES, [service] if service else None)
    if starts <= timezone.now():
        raise ValidationError({"starts": "This is in the past; save the policy now instead."})
    if ends is not None and ends <= starts:
        raise ValidationError({"ends": "The end is not after the start."})
    if ScheduledChange.objects.filter(done=None).count() >= MAX_WAITING:
        raise ValidationError(f"{MAX_WAITING} changes are scheduled; cancel one first.")
    own = "breaker" if breaker else "service" if service else "fleet"
    values: dict[str, Any] = {}
    for origin, found in layers(service, breaker).items():
        if origin != own:
            values.update(found)
    wanted = services.check(fields, values)
    with transaction.atomic():
        head, _ = BreakerPolicy.objects.get_or_create(service=service, breaker=breaker)
        made = ScheduledChange.objects.create(
            policy=head,
            fields=wanted,
            reason=reason.strip()[:500],
            author=person,
            starts=starts,
            ends=ends,
        )
        audit(
            person,
            "policy scheduled",
            service=service,
            breaker=breaker,
            reason=made.reason,
            starts=starts.isoformat(),
            ends=ends.isoformat() if ends else None,
        )
    return made


def waiting(service: str, breaker: str) -> list[ScheduledChange]:
    """The changes of a scope that have not ended, the next first."""
    rows = ScheduledChange.objects.filter(policy__service=service, policy__breaker=breaker)
    return list(rows.filter(done=None).select_related("author"))


def cancel(person: Person, pk: int) -> bool:
    """Cancel a scheduled change that has not started; whether there was one."""
    row = ScheduledChange.objects.filter(pk=pk).select_related("policy").first()
    if row is None:
        return False
    demand(person, CHANGE_POLICIES, [row.policy.service] if row.policy.service else None)
    waiting = ScheduledChange.objects.filter(pk=pk, done=None, version=None)
    return bool(waiting.update(done=timezone.now(), outcome=f"cancelled by {person}"))


def apply_due() -> int:
    """Start and end the changes that are due; returns how many."""
    now = timezone.now()
    done = 0
    due = ScheduledChange.objects.filter(done=None).select_related("policy", "author")
    for row in due.filter(version=None, starts__lte=now):
        done += _start(row)
    for row in due.filter(version__isnull=False, ends__lte=now):
        done += _end(row)
    return done


def _start(row: ScheduledChange) -> bool:
    with transaction.atomic():
        # Locked, so that of two workers one starts it.
        found = ScheduledChange.objects.select_for_update().filter(pk=row.pk, version=None)
        if not found.filter(done=None).exists():
            return False
        policy = row.policy
        try:
            with transaction.atomic():
                version = services.save(
                    row.author, policy.service, policy.breaker, row.fields, row.reason
                )
        except (ValidationError, PermissionDenied) as error:
            found.update(done=timezone.now(), outcome=f"not started: {error}"[:500])
            return False
        found.update(version=version, done=None if row.ends else timezone.now())
    return True


def _end(row: ScheduledChange) -> bool:
    with transaction.atomic():
        found = ScheduledChange.objects.select_for_update().filter(pk=row.pk, done=None)
        if not found.exists() or row.version is None:
            return False
        policy = BreakerPolicy.objects.get(pk=row.policy_id)
        outcome = "ended"
        if policy.number != row.version.number:
            outcome = "ended; a later version is in force and stays"
        else:
            before = PolicyVersion.objects.filter(
                policy=policy, number=row.version.number - 1
            ).first()
            fields = before.fields if before else {}
            try:
                with transaction.atomic():
                    services.save(
                        row.author,
                        policy.service,
                        policy.breaker,
                        fields,
                        f"the scheduled end of version {row.version.number}",
                    )
            except (ValidationError, PermissionDenied) as error:
                outcome = f"not ended: {error}"
        found.update(done=timezone.now(), outcome=outcome[:500])
    return True
