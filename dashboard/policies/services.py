"""Write operations of this app. A policy is saved as a whole: the fields that its scope sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from breakers.circuit.policy import Policy
from breakers.errors import PolicyError
from dashboard.access.authority import demand
from dashboard.access.models import Person
from dashboard.access.roles import CHANGE_POLICIES
from dashboard.access.services import audit
from dashboard.common.batch_deletion import sweep
from dashboard.fleet.services import bump_every_revision, bump_revision
from dashboard.policies.knobs import FLEET_FIELDS, KNOBS, sent
from dashboard.policies.models import BreakerPolicy, PolicyVersion
from dashboard.policies.quantities import show
from dashboard.policies.queries import diff, layers, versions_since
from dashboard.policies.worst_case import worst_case

_HEARD_EACH = timedelta(days=1)
_UNHEARD_KEPT_FOR = timedelta(days=30)
MAX_BULK = 500


class PolicyConflict(ValidationError):
    """Somebody saved the policy after the version that this change began from.

    `since` are the versions in between, oldest first.
    """

    def __init__(self, since: Sequence[PolicyVersion]) -> None:
        self.since = list(since)
        changes = "; ".join(
            f"{version.by} changed {', '.join(version.diff) or 'nothing'}"
            + (f" ({version.reason})" if version.reason else "")
            for version in self.since
        )
        super().__init__(
            f"The policy has changed while you edited it: {changes or 'a newer version exists'}. "
            "Nothing was saved; review the fields and save again."
        )


def save(
    person: Person,
    service: str,
    breaker: str,
    fields: Mapping[str, Any],
    reason: str = "",
    base: int | None = None,
) -> PolicyVersion:
    """Put a policy in force; an empty one inherits every field. `breaker` is empty for all breakers
    of a service, `service` too for the whole fleet.

    `base` is the number of the version that the change began from (optimistic locking).

    Raises:
        PermissionDenied: the person may not change policies.
        PolicyConflict: a newer version than `base` is in force.
        ValidationError: at the field that is wrong, or when nothing would change.
    """
    demand(person, CHANGE_POLICIES, [service] if service else None)
    if breaker and not service:
        raise ValidationError({"service": "A policy of one breaker needs its service."})
    with transaction.atomic():
        BreakerPolicy.objects.get_or_create(service=service, breaker=breaker)
        head = BreakerPolicy.objects.select_for_update().get(service=service, breaker=breaker)
        if base is not None and head.number != base:
            raise PolicyConflict(versions_since(service, breaker, base))
        wanted = check(fields, _below(service, breaker))
        changes = diff(head.fields, wanted)
        if not changes:
            raise ValidationError("Nothing has changed: this is the policy in force.")
        head.fields = wanted
        head.number += 1
        head.save(update_fields=["fields", "number"])
        version = PolicyVersion.objects.create(
            policy=head,
            number=head.number,
            fields=wanted,
            diff=changes,
            author=person,
            by=person.get_username(),
            reason=reason.strip()[:500],
        )
        if service:
            bump_revision(service)
        else:
            bump_every_revision()
        audit(
            person, "policy", service=service, breaker=breaker, reason=version.reason, diff=changes
        )
    return version


def _below(service: str, breaker: str) -> dict[str, Any]:
    """The values that a scope's fields are laid over."""
    found = layers(service, breaker)
    own = "breaker" if breaker else "service" if service else "fleet"
    values: dict[str, Any] = {}
    for origin, fields in found.items():
        if origin != own:
            values.update(fields)
    return values


def roll_back(person: Person, version: PolicyVersion, base: int | None = None) -> PolicyVersion:
    """Put an older version in force again, as a new version."""
    head = version.policy
    reason = f"back to version {version.number}"
    return save(person, head.service, head.breaker, version.fields, reason, base)


def copy(
    person: Person, source: BreakerPolicy, service: str, breaker: str, base: int | None = None
) -> PolicyVersion:
    """Give a scope the fields of another one."""
    fields = BreakerPolicy.objects.values_list("fields", flat=True).get(pk=source.pk)
    return save(person, service, breaker, fields, f"copied from {source}", base)


def save_many(
    person: Person,
    scopes: Sequence[tuple[str, str]],
    changes: Mapping[str, Any],
    inherit: Iterable[str] = (),
    reason: str = "",
) -> list[PolicyVersion]:
    """Set the same fields at many scopes, and let others be inherited there: all or none.

    Scopes where nothing would change are left out.

    Raises:
        ValidationError: at the first scope that refuses, naming it; then nothing has changed.
    """
    demand(person, CHANGE_POLICIES, sorted({service for service, _ in scopes if service}))
    if len(scopes) > MAX_BULK:
        raise ValidationError(f"{len(scopes)} policies at once; at most {MAX_BULK}.")
    dropped = set(inherit)
    saved = []
    with transaction.atomic():
        for service, breaker in sorted(set(scopes)):
            head = BreakerPolicy.objects.filter(service=service, breaker=breaker).first()
            before = head.fields if head else {}
            wanted = {name: value for name, value in before.items() if name not in dropped}
            wanted.update(changes)
            if wanted == before:
                continue
            try:
                saved.append(save(person, service, breaker, wanted, reason))
            except ValidationError as error:
                where = "/".join(filter(None, (service, breaker))) or "fleet default"
                if hasattr(error, "error_dict"):
                    raise ValidationError(
                        {
                            field: [f"{where}: {message}" for message in messages]
                            for field, messages in error.message_dict.items()
                        }
                    ) from error
                raise ValidationError([f"{where}: {each}" for each in error.messages]) from error
    return saved


def check(fields: Mapping[str, Any], declared: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as they will be sent, or `ValidationError` at the field that is wrong.

    They must hold together with the values that they are laid over, such as those of the code.
    """
    try:
        base = Policy().replace(sent(declared))
    except PolicyError:
        # Another version of the library may declare what ours does not know: agents decide.
        base = Policy()
    wrong: dict[str, str] = {}
    rules: dict[str, Any] = {}
    for name, value in fields.items():
        try:
            if name in FLEET_FIELDS:
                rules[name] = FLEET_FIELDS[name].check(value)
            else:
                base.replace({name: value})
        except PolicyError as error:
            # A field that is fine by itself and not with the others is found below.
            if error.field == name:
                wrong[name] = _complaint(error)
    if wrong:
        raise ValidationError(wrong)
    try:
        policy = base.replace(sent(fields))
    except PolicyError as error:
        raise ValidationError({error.field: _complaint(error)}) from None
    return {name: rules[name] if name in rules else getattr(policy, name) for name in fields}


def contradictions(values: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a complete policy that cannot all hold, each with a sentence."""
    found: dict[str, str] = {}
    deadline = values.get("deadline")
    worst = worst_case({**values, "deadline": None})
    if deadline is not None and worst.seconds is not None and worst.seconds > deadline:
        plural = "attempt" if worst.attempts == 1 else "attempts"
        pauses = " with pauses" if worst.pauses_s else ""
        found["deadline"] = (
            f"{worst.attempts} {plural} of {_time(worst.attempt_s)}{pauses} take up to "
            f"{_time(worst.seconds)}: longer than the total deadline of {_time(deadline)}."
        )
    timeout, hedge = values.get("timeout"), values.get("hedge_delay")
    if timeout is not None and hedge is not None and hedge >= timeout:
        found["hedge_delay"] = (
            f"A hedge after {_time(hedge)} never begins: the attempt ends at its timeout of "
            f"{_time(timeout)}."
        )
    longest, first = values.get("retry_delay_max"), values.get("retry_delay")
    if longest is not None and first is not None and longest < first:
        found["retry_delay_max"] = (
            f"The longest pause of {_time(longest)} is shorter than the first of {_time(first)}."
        )
    return found


def _time(seconds: float | None) -> str:
    return show(KNOBS["deadline"], seconds)


def _complaint(error: PolicyError) -> str:
    spec = KNOBS.get(error.field)
    shown = f"{error.value:g}" if isinstance(error.value, float) else f"{error.value}"
    if spec is None or error.value is None:
        return f"It must be {error.allowed}."
    return f"{shown[:40]} cannot be: it must be {spec.range}."


def note_declared(
    declared: Mapping[str, Mapping[str, Mapping[str, Any]]],
    honours: Mapping[str, Mapping[str, list[str] | None]] = MappingProxyType({}),
) -> None:
    """Keep what the code of each service's breakers declares, so that the forms can show it. After
    a restart every instance tells all of it, so it is one statement however much it is."""
    now = timezone.now()
    BreakerPolicy.objects.bulk_create(
        [
            BreakerPolicy(
                service=service,
                breaker=breaker,
                declared=dict(fields),
                honours=honours.get(service, {}).get(breaker),
                heard=now,
            )
            for service in sorted(declared)
            for breaker, fields in sorted(declared[service].items())
        ],
        update_conflicts=True,
        unique_fields=["service", "breaker"],
        update_fields=["declared", "honours", "heard"],
    )


def note_reported(service: str, breakers: Iterable[str]) -> None:
    """Remember that these are still there, although their declared policy was not sent again."""
    now = timezone.now()
    rows = BreakerPolicy.objects.filter(service=service, breaker__in=list(breakers))
    rows.filter(heard__lt=now - _HEARD_EACH).update(heard=now)


def forget_undeclared() -> int:
    """Drop breakers that nobody has reported for a month and for which no policy was ever saved;
    what their code declares comes with their next report."""
    old = timezone.now() - _UNHEARD_KEPT_FOR
    return sweep(BreakerPolicy.objects.filter(number=0, heard__lt=old))
