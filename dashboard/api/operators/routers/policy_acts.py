"""Single acts on policies: restore a version, copy, schedule, roll out, and decide a rollout."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from django.core.exceptions import ValidationError
from ninja import Router, Schema, Status
from pydantic import Field

from breakers.errors import PolicyError
from dashboard.access.authority import demand, visible_services
from dashboard.access.models import Person
from dashboard.access.roles import CHANGE_POLICIES
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import Problem, not_found
from dashboard.policies import queries, rollouts, schedule, services
from dashboard.policies.knobs import KNOBS
from dashboard.policies.models import BreakerPolicy, PolicyVersion, Rollout, ScheduledChange
from dashboard.policies.quantities import parse, wanted

router = Router(tags=["policies"])
ERRORS = dict.fromkeys((401, 403, 404, 409, 422, 429), Problem)
Fields = dict[str, str]


class ScopeIn(Schema):
    """A breaker of a service; empty for all breakers, or the whole fleet."""

    service: Annotated[str, Field(max_length=120)] = ""
    breaker: Annotated[str, Field(max_length=120)] = ""


class PolicyChangeIn(ScopeIn):
    """`fields` are texts as in the policy document, such as `250 ms`."""

    fields: Fields
    reason: Annotated[str, Field(max_length=500)] = ""


class ScheduleIn(PolicyChangeIn):
    starts: datetime
    ends: datetime | None = None


class RolloutIn(PolicyChangeIn):
    """The instances by `selector`, as agents know them: instances, versions, zones, tags. It is
    promoted if it does well, unless `promotes` is false."""

    selector: dict[str, list[str]]
    promotes: bool = True


class CopyIn(ScopeIn):
    """The scope that is changed, and the one whose policy it gets."""

    source: ScopeIn


class VersionOut(Schema):
    """A version that is in force now."""

    id: int
    number: int


class MadeOut(Schema):
    id: int


class StateOut(Schema):
    state: str


@router.post("/versions/{int:version}/restore", response={200: VersionOut, **ERRORS},
             operation_id="restore_policy")  # fmt: skip
def restore(request: ApiRequest, version: int) -> PolicyVersion:
    """Put an older version in force again, as a new version."""
    person = _editor(request)
    rows = PolicyVersion.objects.select_related("policy")
    row = rows.filter(pk=version).first() if version < 2**63 else None
    if row is None or not _sees(person, row.policy.service):
        raise not_found(f"There is no version {version}.")
    return services.roll_back(person, row)


@router.post("/copy", response={200: VersionOut, **ERRORS}, operation_id="copy_policy")
def copy(request: ApiRequest, body: CopyIn) -> PolicyVersion:
    """Give a scope the policy of another one."""
    person = _editor(request)
    _check_scope(person, body)
    source = queries.head(body.source.service, body.source.breaker)
    if source is None or not _sees(person, body.source.service):
        raise not_found("The source sets no policy.")
    return services.copy(person, source, body.service, body.breaker)


@router.post("/scheduled", response={201: MadeOut, **ERRORS}, operation_id="schedule_policy")
def schedule_policy(request: ApiRequest, body: ScheduleIn) -> Status[ScheduledChange]:
    """Put a policy in force at a time, and with `ends` back again."""
    person = _editor(request)
    _check_scope(person, body)
    for name, at in (("starts", body.starts), ("ends", body.ends)):
        if at is not None and at.tzinfo is None:
            raise ValidationError({name: "A time needs its zone, such as Z."})
    made = schedule.schedule(
        person, body.service, body.breaker, _read(body.fields), body.reason, body.starts, body.ends
    )
    return Status(201, made)


@router.delete("/scheduled/{int:change}", response={204: None, **ERRORS},
               operation_id="cancel_scheduled_policy")  # fmt: skip
def cancel_scheduled(request: ApiRequest, change: int) -> Status[None]:
    """Cancel a scheduled change that has not started."""
    if not schedule.cancel(_editor(request), min(change, 2**63 - 1)):
        raise not_found(f"No scheduled change {change} waits.")
    return Status(204, None)


@router.post("/rollouts", response={201: MadeOut, **ERRORS}, operation_id="start_rollout")
def start_rollout(request: ApiRequest, body: RolloutIn) -> Status[Rollout]:
    """Put a policy in force on some instances, and compare them with the others."""
    person = _editor(request)
    _check_scope(person, body)
    made = rollouts.start(
        person, body.service, body.breaker, _read(body.fields), body.selector, body.reason,
        promotes=body.promotes,
    )  # fmt: skip
    return Status(201, made)


@router.post("/rollouts/{int:rollout}/{decision}", response={200: StateOut, **ERRORS},
             operation_id="decide_rollout")  # fmt: skip
def decide_rollout(
    request: ApiRequest, rollout: int, decision: Literal["promote", "stop"]
) -> Rollout:
    """Promote a rollout, or take it back."""
    person = _editor(request)
    row = Rollout.objects.select_related("policy").filter(pk=min(rollout, 2**63 - 1)).first()
    if row is None or not _sees(person, row.policy.service):
        raise not_found(f"There is no rollout {rollout}.")
    return (rollouts.promote if decision == "promote" else rollouts.stop)(person, row.pk)


def _editor(request: ApiRequest) -> Person:
    request.caller.demand_scope("policies")
    demand(request.caller.person, CHANGE_POLICIES, ())
    return request.caller.person


def _sees(person: Person, service: str) -> bool:
    return not service or service in visible_services(person)


def _check_scope(person: Person, scope: ScopeIn) -> None:
    known = BreakerPolicy(service=scope.service, breaker=scope.breaker)
    if "\0" in scope.service + scope.breaker or not _sees(person, scope.service):
        raise not_found(f"There is no scope {known}.")


def _read(fields: Mapping[str, str]) -> dict[str, Any]:
    values, errors = {}, {}
    for name, text in fields.items():
        spec = KNOBS.get(name)
        if spec is None:
            errors[f"fields.{name[:80]}"] = "There is no such field of a policy."
            continue
        try:
            values[name] = parse(spec, text)
        except PolicyError:
            errors[f"fields.{name}"] = f"{text[:60]!r} is not {wanted(spec)}."
    if errors:
        raise ValidationError(errors)
    return values
