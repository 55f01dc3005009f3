"""Rollouts: a candidate on some instances, judged against the others, promoted or taken back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from breakers.protocol import messages as wire
from dashboard.access.authority import demand
from dashboard.access.models import Person
from dashboard.access.roles import CHANGE_POLICIES
from dashboard.access.services import audit
from dashboard.fleet.services import bump_revision
from dashboard.fleet.snapshot.reads import breaker_view, snapshot
from dashboard.policies import queries, services
from dashboard.policies.knobs import sent
from dashboard.policies.models import BreakerPolicy, Refusal, Rollout, RolloutArm
from dashboard.policies.sequential_test import Arm, CanaryTest

MAX_LOOKS: Final = 500
# A canary without a call for so long has lost its instances.
_SILENT_S: Final = 300.0


class ArmKey(NamedTuple):
    """One instance of a breaker under a rollout."""

    service: str
    breaker: str
    instance: str


def start(
    person: Person,
    service: str,
    breaker: str,
    fields: Mapping[str, Any],
    selector: Mapping[str, list[str]],
    reason: str = "",
    promotes: bool = True,
    measures_s: float = 0.0,
) -> Rollout:
    """Put a candidate in force on the selected instances.

    For `measures_s` seconds it is not promoted: the request for that has set its instances to
    refuse nothing meanwhile.

    Raises:
        ValidationError: a bad field or selector, nothing that changes, or a rollout that runs.
    """
    demand(person, CHANGE_POLICIES, [service])
    if fields and not sent(fields):
        raise ValidationError("Rules of the fleet have no canary: save them instead.")
    chosen = check_selector(selector)
    wanted = services.check(fields, queries.effective(service, breaker, {}))
    with transaction.atomic():
        head, _ = BreakerPolicy.objects.get_or_create(service=service, breaker=breaker)
        changes = queries.diff(head.fields, wanted)
        if not changes:
            raise ValidationError("The candidate is the policy in force.")
        # A field that the candidate inherits has to replace what the breaker's policy sets.
        below = queries.effective(service, breaker, {})
        complete = {**{name: below[name] for name in head.fields}, **wanted}
        try:
            with transaction.atomic():
                made = Rollout.objects.create(
                    policy=head,
                    fields=complete,
                    selector=chosen,
                    base=head.number,
                    author=person,
                    by=person.get_username(),
                    reason=reason.strip()[:500],
                    promotes=promotes,
                    measures_until=timezone.now() + timedelta(seconds=measures_s)
                    if measures_s
                    else None,
                    test=CanaryTest().as_state(),
                    sentence="waiting: the canary has ended no call yet",
                )
        except IntegrityError:
            raise ValidationError("A rollout of this policy is running: stop it first.") from None
        bump_revision(service)
        audit(
            person,
            "rollout",
            service=service,
            breaker=breaker,
            reason=made.reason,
            diff=changes,
            selector=chosen,
        )
    return made


def check_selector(selector: Mapping[str, Any]) -> dict[str, list[str]]:
    """The selector as it is sent.

    Raises:
        ValidationError: it names nothing, or something that is no name.
    """
    chosen = {name: values for name, values in selector.items() if values}
    try:
        parsed = msgspec.convert(chosen, wire.Selector)
    except msgspec.ValidationError as error:
        raise ValidationError({"selector": f"The selector is wrong: {error}."}) from None
    names = [each for values in chosen.values() for each in values]
    if unknown := set(chosen) - set(wire.Selector.__struct_fields__):
        raise ValidationError({"selector": f"There is no selector {sorted(unknown)[0][:60]!r}."})
    if not names:
        raise ValidationError({"selector": "Choose at least one instance, zone, version or tag."})
    if len(names) > 1000 or not all(1 <= len(each) <= 120 for each in names):
        raise ValidationError({"selector": "At most 1000 names of 1 to 120 characters."})
    return {name: list(getattr(parsed, name)) for name in chosen}


def watched() -> frozenset[tuple[str, str]]:
    """The breakers whose calls are counted by instance: those under a rollout."""
    rows = Rollout.objects.filter(state=Rollout.RUNNING)
    return frozenset(rows.values_list("policy__service", "policy__breaker"))


def absorb(arms: Mapping[ArmKey, tuple[wire.Instance, int, int]]) -> None:
    """Add calls and failures of instances, inside the transaction of a checkpoint."""
    if not arms:
        return
    running = {
        (row.policy.service, row.policy.breaker): row
        for row in Rollout.objects.filter(state=Rollout.RUNNING).select_related("policy")
    }
    for key, (who, calls, failures) in arms.items():
        rollout = running.get((key.service, key.breaker))
        if rollout is None:
            continue
        arm, is_new = RolloutArm.objects.get_or_create(
            rollout=rollout,
            instance=key.instance,
            defaults={
                "version": who.version,
                "zone": who.zone,
                "tags": list(who.tags),
                "calls": calls,
                "failures": failures,
            },
        )
        if not is_new:
            RolloutArm.objects.filter(pk=arm.pk).update(
                calls=F("calls") + calls, failures=F("failures") + failures, at=timezone.now()
            )


def judge_all() -> int:
    """Look at every rollout that runs; returns how many ended."""
    ended = 0
    for pk in list(Rollout.objects.filter(state=Rollout.RUNNING).values_list("pk", flat=True)):
        with transaction.atomic():
            rollout = (
                Rollout.objects.select_for_update(of=("self",))
                .select_related("policy", "author")
                .filter(pk=pk, state=Rollout.RUNNING)
                .first()
            )
            if rollout is not None:
                ended += _judge(rollout)
    return ended


def _judge(rollout: Rollout) -> bool:
    canary, rest = _arms(rollout)
    test = CanaryTest.from_state(rollout.test)
    test.add(
        Arm(canary.calls - test.canary.calls, canary.failures - test.canary.failures),
        Arm(rest.calls - test.rest.calls, rest.failures - test.rest.failures),
    )
    rollout.test = test.as_state()
    rollout.sentence = test.sentence()
    now = timezone.now()
    look = [now.timestamp(), round(test.log_harm, 3), round(test.log_safety, 3)]
    rollout.looks = [*rollout.looks, look]
    if len(rollout.looks) > MAX_LOOKS:
        # Every second look of the older half goes: the curve stays whole.
        half = len(rollout.looks) // 2
        rollout.looks = rollout.looks[:half:2] + rollout.looks[half:]
    if test.is_worse:
        return _finish(rollout, Rollout.HALTED, rollout.sentence)
    if refused := _refused(rollout):
        return _finish(rollout, Rollout.HALTED, refused)
    silent_s = (now - _last_heard(rollout)).total_seconds()
    if silent_s > _SILENT_S:
        why = f"halted: no selected instance has reported a call for {silent_s:.0f} s"
        return _finish(rollout, Rollout.HALTED, why)
    measured = rollout.measures_until is None or rollout.measures_until <= now
    if test.is_safe and rollout.promotes and measured:
        return _promote(rollout, rollout.author, rollout.sentence)
    rollout.save(update_fields=["test", "sentence", "looks"])
    return False


def _refused(rollout: Rollout) -> str:
    """Why the canary says nothing about the candidate: an instance of it refused it. Empty if none
    did."""
    policy, selector = rollout.policy, wire.Selector(**rollout.selector)
    known = {arm.instance: _who(arm) for arm in rollout.arms.all()}
    rows = Refusal.objects.filter(
        service=policy.service, breaker=policy.breaker, at__gte=rollout.started
    )
    for row in rows:
        if selector.includes(known.get(row.instance) or wire.Instance(row.instance)):
            return f"halted: {row.instance} refused the candidate: {row.reason}"
    return ""


def _arms(rollout: Rollout) -> tuple[Arm, Arm]:
    """Calls and failures of the canary and of the rest since the rollout began."""
    selector = wire.Selector(**rollout.selector)
    sums = {True: [0, 0], False: [0, 0]}
    for arm in rollout.arms.all():
        total = sums[selector.includes(_who(arm))]
        total[0] += arm.calls
        total[1] += min(arm.failures, arm.calls)
    return Arm(*sums[True]), Arm(*sums[False])


def _last_heard(rollout: Rollout) -> datetime:
    """When an instance of the canary last reported a call; at first, when the rollout began."""
    selector = wire.Selector(**rollout.selector)
    times = [arm.at for arm in rollout.arms.all() if selector.includes(_who(arm))]
    return max(times, default=rollout.started)


def _who(arm: RolloutArm) -> wire.Instance:
    return wire.Instance(arm.instance, version=arm.version, zone=arm.zone, tags=arm.tags)


def stop(person: Person, pk: int) -> Rollout:
    """Take a candidate back."""
    return _decide(person, pk, Rollout.STOPPED)


def promote(person: Person, pk: int) -> Rollout:
    """Put a candidate in force everywhere, whatever the test says yet."""
    return _decide(person, pk, Rollout.PROMOTED)


def _decide(person: Person, pk: int, state: str) -> Rollout:
    with transaction.atomic():
        rollout = (
            Rollout.objects.select_for_update(of=("self",))
            .select_related("policy", "author")
            .filter(pk=pk)
            .first()
        )
        if rollout is None:
            raise ValidationError("There is no such rollout.")
        demand(person, CHANGE_POLICIES, [rollout.policy.service])
        if rollout.state != Rollout.RUNNING:
            raise ValidationError(f"This rollout is over: it is {rollout.state}.")
        if state == Rollout.PROMOTED:
            _promote(rollout, person, f"promoted by {person}: {rollout.sentence}")
        else:
            _finish(rollout, state, f"stopped by {person}: {rollout.sentence}", person)
    return rollout


def _promote(rollout: Rollout, person: Person, sentence: str) -> bool:
    policy = BreakerPolicy.objects.get(pk=rollout.policy_id)
    if policy.number != rollout.base:
        why = f"halted: version {policy.number} was saved while the canary ran. {sentence}"
        return _finish(rollout, Rollout.HALTED, why)
    try:
        with transaction.atomic():
            services.save(
                person, policy.service, policy.breaker, rollout.fields, f"promoted: {sentence}"
            )
    except (ValidationError, PermissionDenied) as error:
        return _finish(rollout, Rollout.HALTED, f"halted: it could not be promoted: {error}")
    return _finish(rollout, Rollout.PROMOTED, sentence, person)


def _finish(rollout: Rollout, state: str, sentence: str, person: Person | None = None) -> bool:
    rollout.state, rollout.sentence, rollout.ended = state, sentence[:500], timezone.now()
    rollout.save(update_fields=["state", "sentence", "ended", "test", "looks"])
    policy = rollout.policy
    bump_revision(policy.service)
    audit(
        person,
        f"rollout {state}",
        service=policy.service,
        breaker=policy.breaker,
        reason=rollout.sentence,
    )
    return True


def selected_now(rollout: Rollout) -> list[str]:
    """The names of the connected instances that a rollout means."""
    selector = wire.Selector(**rollout.selector)
    view = breaker_view(rollout.policy.service, rollout.policy.breaker)
    shots = snapshot(rollout.policy.service)["services"]
    known = {each["id"]: each for shot in shots for each in shot["instances"]}
    return [
        at["id"]
        for at in (view["instances"] if view else ())
        if at["id"] in known
        and selector.includes(
            wire.Instance(
                at["id"],
                version=known[at["id"]]["version"],
                zone=known[at["id"]]["zone"],
                tags=known[at["id"]].get("tags", []),
            )
        )
    ]
