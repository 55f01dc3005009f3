"""Rollouts: judged by calls and failures of the canary and of the rest, taken back or promoted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from breakers.protocol import messages as wire
from dashboard.access.models import AuditEntry, Person
from dashboard.fleet.services import revision
from dashboard.policies import queries, rollouts, schedule, services
from dashboard.policies.acknowledgements import record_refusals
from dashboard.policies.models import Rollout, RolloutArm, ScheduledChange
from dashboard.policies.rollouts import ArmKey

pytestmark = pytest.mark.django_db


def report(instance: str, calls: int, failures: int) -> None:
    """What a checkpoint adds for one instance."""
    rollouts.absorb({ArmKey("shop", "posts", instance): (wire.Instance(instance), calls, failures)})


@pytest.fixture
def canary(operator: Person) -> Rollout:
    services.save(operator, "shop", "posts", {"timeout": 1.0, "retries": 2})
    return rollouts.start(
        operator, "shop", "posts", {"timeout": 0.05}, {"instances": ["one"]}, "try less"
    )


def test_the_candidate_is_sent_after_the_policy_and_only_to_its_instances(canary: Rollout) -> None:
    assert revision("shop") == 2
    policy, candidate = queries.in_force("shop")
    assert policy.fields == {"timeout": 1.0, "retries": 2}
    assert candidate.fields == {"timeout": 0.05, "retries": 3}
    assert candidate.selector == wire.Selector(instances=["one"])


def test_a_worse_canary_is_taken_back_with_a_sentence(canary: Rollout) -> None:
    for _ in range(20):
        report("one", 50, 20)
        report("two", 150, 1)
        if rollouts.judge_all():
            break
    halted = Rollout.objects.get()
    assert halted.state == Rollout.HALTED
    assert halted.sentence.startswith("halted: success 60.00 % against 99.33 %, p < 0.0")
    assert [item.fields for item in queries.in_force("shop")] == [{"timeout": 1.0, "retries": 2}]
    assert AuditEntry.objects.filter(act="rollout halted").count() == 1


def test_a_canary_that_does_no_worse_is_promoted(canary: Rollout) -> None:
    for _ in range(300):
        report("one", 500, 10)
        report("two", 500, 10)
        if rollouts.judge_all():
            break
    assert Rollout.objects.get().state == Rollout.PROMOTED
    assert queries.head("shop", "posts").fields["timeout"] == 0.05  # type: ignore[union-attr]


def test_one_that_does_not_promote_by_itself_waits_for_a_person(operator: Person) -> None:
    made = rollouts.start(
        operator, "shop", "posts", {"timeout": 0.5}, {"zones": ["eu"]}, promotes=False
    )
    assert rollouts.judge_all() == 0
    rollouts.promote(operator, made.pk)
    assert queries.head("shop", "posts").fields == {"timeout": 0.5}  # type: ignore[union-attr]
    with pytest.raises(ValidationError, match="is over"):
        rollouts.stop(operator, made.pk)


def test_a_version_saved_meanwhile_is_not_overwritten(canary: Rollout, operator: Person) -> None:
    services.save(operator, "shop", "posts", {"timeout": 2.0})
    rollouts.promote(operator, canary.pk)
    assert Rollout.objects.get().state == Rollout.HALTED
    assert queries.head("shop", "posts").fields == {"timeout": 2.0}  # type: ignore[union-attr]


def test_a_canary_whose_instances_vanish_is_taken_back(canary: Rollout) -> None:
    Rollout.objects.update(started=timezone.now() - timedelta(hours=1))
    assert rollouts.judge_all() == 1
    assert "no selected instance has reported a call" in Rollout.objects.get().sentence


def test_a_canary_that_refuses_the_candidate_proves_nothing_and_is_taken_back(
    canary: Rollout,
) -> None:
    def refuse(instance: str) -> None:
        item = wire.AckItem(
            "policy", "posts", "refused", "", "timeout is 0.05; this process obeys…"
        )
        record_refusals([("shop", wire.Ack("shop", instance, 9, [item]))])

    report("one", 500, 10)
    report("two", 500, 10)
    refuse("two")
    assert rollouts.judge_all() == 0
    refuse("one")
    assert rollouts.judge_all() == 1
    assert Rollout.objects.get().sentence.startswith(
        "halted: one refused the candidate: timeout is 0.05"
    )


def test_a_canary_whose_instances_vanish_later_is_taken_back_although_the_rest_goes_on(
    canary: Rollout,
) -> None:
    report("one", 500, 10)
    report("two", 500, 10)
    assert rollouts.judge_all() == 0
    RolloutArm.objects.filter(instance="one").update(at=timezone.now() - timedelta(minutes=6))
    report("two", 500, 10)
    assert rollouts.judge_all() == 1
    assert "no selected instance has reported a call for 36" in Rollout.objects.get().sentence


@pytest.mark.parametrize(
    "selector", [{}, {"instances": []}, {"colours": ["red"]}, {"zones": [""]}, {"tags": "eu"}]
)
def test_a_selector_must_name_something(operator: Person, selector: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError) as error:
        rollouts.start(operator, "shop", "posts", {"timeout": 0.5}, selector)
    assert "selector" in error.value.message_dict
    assert not Rollout.objects.exists()


def test_one_rollout_at_a_time(canary: Rollout, operator: Person, viewer: Person) -> None:
    with pytest.raises(ValidationError, match="is running"):
        rollouts.start(operator, "shop", "posts", {"retries": 1}, {"instances": ["two"]})
    with pytest.raises(PermissionDenied):
        rollouts.stop(viewer, canary.pk)


def test_a_scheduled_policy_starts_and_gives_way_at_its_end(operator: Person) -> None:
    now = timezone.now()
    services.save(operator, "shop", "posts", {"retries": 2})
    schedule.schedule(
        operator,
        "shop",
        "posts",
        {"retries": 1},
        "sale",
        now + timedelta(hours=1),
        now + timedelta(hours=2),
    )
    assert schedule.apply_due() == 0
    ScheduledChange.objects.update(starts=now - timedelta(seconds=1))
    assert schedule.apply_due() == 1
    assert queries.head("shop", "posts").fields == {"retries": 1}  # type: ignore[union-attr]
    ScheduledChange.objects.update(ends=now)
    assert schedule.apply_due() == 1
    assert queries.head("shop", "posts").fields == {"retries": 2}  # type: ignore[union-attr]
    assert schedule.apply_due() == 0


def test_the_end_of_a_schedule_leaves_a_later_version(operator: Person) -> None:
    now = timezone.now()
    schedule.schedule(
        operator, "shop", "posts", {"retries": 1}, "", now + timedelta(hours=1),
        now + timedelta(hours=2),
    )  # fmt: skip
    ScheduledChange.objects.update(starts=now)
    schedule.apply_due()
    services.save(operator, "shop", "posts", {"retries": 7})
    ScheduledChange.objects.update(ends=now)
    schedule.apply_due()
    assert queries.head("shop", "posts").fields == {"retries": 7}  # type: ignore[union-attr]
    assert "later version" in ScheduledChange.objects.get().outcome
