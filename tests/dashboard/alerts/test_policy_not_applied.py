"""The rule on policies that instances refuse, or have not confirmed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dashboard.access.models import Person
from dashboard.alerts.models import Firing
from dashboard.policies import services as policies
from dashboard.policies.models import Refusal
from tests.dashboard.alerts.fleet import Fleet

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def firing() -> set[tuple[str, str]]:
    rows = Firing.objects.filter(rule__kind="policy_not_applied", ended=None)
    return set(rows.values_list("service", "breaker"))


def confirm(fleet: Fleet, service: str, revision: int) -> None:
    for each in fleet.snapshot.services[service].instances.values():
        each["revision"] = revision


def test_a_refusal_fires_and_ends_with_it(fleet: Fleet) -> None:
    runner = fleet.runner()
    fleet.show("shop", "closed", "posts", "ads")
    fleet.round(runner)
    refused = Refusal.objects.create(
        service="shop", breaker="posts", instance="i1", revision=1, reason="too old"
    )
    Refusal.objects.update(at=datetime.fromtimestamp(fleet.now, UTC))
    fleet.rounds(runner, 30)
    assert firing() == set()
    fleet.rounds(runner, 45)
    assert firing() == {("shop", "posts")}
    refused.delete()
    fleet.rounds(runner, 6)
    assert firing() == set()


def test_a_refusal_for_all_breakers_of_a_service_fires_on_each(fleet: Fleet) -> None:
    runner = fleet.runner()
    fleet.show("shop", "closed", "posts", "ads")
    fleet.round(runner)
    Refusal.objects.create(service="shop", breaker="*", instance="i1", revision=1, reason="no")
    fleet.rounds(runner, 70)
    assert firing() == {("shop", "posts"), ("shop", "ads")}


def test_instances_that_are_behind_fire_where_a_policy_is_set(
    fleet: Fleet, operator: Person
) -> None:
    runner = fleet.runner()
    fleet.show("shop", "closed", "posts", "ads")
    fleet.round(runner)
    policies.save(operator, "shop", "posts", {"timeout": 0.5})
    fleet.rounds(runner, 70)
    assert firing() == {("shop", "posts")}
    confirm(fleet, "shop", 1)
    fleet.rounds(runner, 6)
    assert firing() == set()


def test_what_is_confirmed_within_the_time_fires_nothing(fleet: Fleet, operator: Person) -> None:
    runner = fleet.runner()
    fleet.show("shop", "closed", "posts")
    for n in range(1, 6):
        policies.save(operator, "shop", "posts", {"timeout": n / 10})
        fleet.rounds(runner, 20)
        confirm(fleet, "shop", n)
        fleet.rounds(runner, 6)
    assert not Firing.objects.filter(rule__kind="policy_not_applied").exists()
