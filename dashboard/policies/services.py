"""Writes of this room. A policy is saved as a whole: the fields that replace what code declares."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from breakers.circuit.policy import FIELDS, Policy
from breakers.errors import PolicyError
from dashboard.access.authority import demand
from dashboard.access.models import Person
from dashboard.access.roles import CHANGE_POLICIES
from dashboard.access.services import audit
from dashboard.common.batch_deletion import sweep
from dashboard.fleet.services import bump_revision
from dashboard.policies.models import BreakerPolicy, PolicyVersion

_HEARD_EACH = timedelta(days=1)
_UNHEARD_KEPT_FOR = timedelta(days=30)


def save(
    person: Person, service: str, breaker: str, fields: Mapping[str, Any], reason: str = ""
) -> PolicyVersion:
    """Put a policy in force; an empty one goes back to what code declares.

    Raises:
        PermissionDenied: the person may not change policies.
        ValidationError: at the field that is wrong, or when nothing would change.
    """
    demand(person, CHANGE_POLICIES, [service])
    with transaction.atomic():
        head, _ = BreakerPolicy.objects.get_or_create(service=service, breaker=breaker)
        head = BreakerPolicy.objects.select_for_update().get(pk=head.pk)
        wanted = check(fields, head.declared)
        diff = {
            name: {"before": head.fields.get(name), "after": wanted.get(name)}
            for name in sorted({*head.fields, *wanted})
            if head.fields.get(name, ...) != wanted.get(name, ...)
        }
        if not diff:
            raise ValidationError("Nothing has changed: this is the policy in force.")
        head.fields = wanted
        head.number += 1
        head.save(update_fields=["fields", "number"])
        version = PolicyVersion.objects.create(
            policy=head,
            number=head.number,
            fields=wanted,
            diff=diff,
            author=person,
            by=person.get_username(),
            reason=reason.strip()[:500],
        )
        bump_revision(service)
        audit(person, "policy", service=service, breaker=breaker, reason=version.reason, diff=diff)
    return version


def roll_back(person: Person, version: PolicyVersion) -> PolicyVersion:
    """Put an older version in force again, as a new version."""
    head = version.policy
    reason = f"back to version {version.number}"
    return save(person, head.service, head.breaker, version.fields, reason)


def check(fields: Mapping[str, Any], declared: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as they will be sent, or `ValidationError` at the field that is wrong.

    They must hold together with what the code declares, since that is what they are laid over.
    """
    try:
        base = Policy().replace(declared)
    except PolicyError:
        # Another version of the library may declare what ours does not know: agents decide.
        base = Policy()
    wrong: dict[str, str] = {}
    for name, value in fields.items():
        try:
            base.replace({name: value})
        except PolicyError as error:
            # A field that is fine by itself and not with the others is found below.
            if error.field == name:
                wrong[name] = _complaint(error)
    if wrong:
        raise ValidationError(wrong)
    try:
        policy = base.replace(fields)
    except PolicyError as error:
        raise ValidationError({error.field: _complaint(error)}) from None
    return {name: getattr(policy, name) for name in fields}


def _complaint(error: PolicyError) -> str:
    spec = FIELDS.get(error.field)
    shown = f"{error.value:g}" if isinstance(error.value, float) else f"{error.value}"
    if spec is None or error.value is None:
        return f"It must be {error.allowed}."
    return f"{shown[:40]} cannot be: it must be {spec.range}."


def note_declared(declared: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Keep what the code of each service's breakers declares, so that the forms can show it. After
    a restart every instance tells all of it, so it is one statement however much it is."""
    now = timezone.now()
    BreakerPolicy.objects.bulk_create(
        [
            BreakerPolicy(service=service, breaker=breaker, declared=dict(fields), heard=now)
            for service in sorted(declared)
            for breaker, fields in sorted(declared[service].items())
        ],
        update_conflicts=True,
        unique_fields=["service", "breaker"],
        update_fields=["declared", "heard"],
    )


def note_reported(service: str, breakers: Iterable[str]) -> None:
    """Keep in mind that these are still there, although their code has not told anew what it
    declares."""
    now = timezone.now()
    rows = BreakerPolicy.objects.filter(service=service, breaker__in=list(breakers))
    rows.filter(heard__lt=now - _HEARD_EACH).update(heard=now)


def forget_undeclared() -> int:
    """Drop breakers that nobody has reported for a month and for which no policy was ever saved;
    what their code declares is told with their next report."""
    old = timezone.now() - _UNHEARD_KEPT_FOR
    return sweep(BreakerPolicy.objects.filter(number=0, heard__lt=old))
