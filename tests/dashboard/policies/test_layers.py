"""Precedence, selectors, optimistic locking, bulk edits and refusals of policies."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from breakers.agent.applier import Applier
from breakers.circuit.breaker import CircuitBreaker
from breakers.circuit.registry import Registry
from breakers.protocol import messages as wire
from breakers.testing import FakeClock
from dashboard.access.models import Person
from dashboard.fleet.services import get_or_create_service, revision
from dashboard.policies import queries, services
from dashboard.policies.acknowledgements import record_refusals
from dashboard.policies.models import BreakerPolicy, PolicyVersion, Refusal

pytestmark = pytest.mark.django_db


def in_process(desired: list[wire.PolicyItem], who: wire.Instance) -> CircuitBreaker:
    """A breaker of a process that has taken over these policies."""
    clock, registry = FakeClock(), Registry()
    applier = Applier(registry.all, who, clock.monotonic)
    breaker = CircuitBreaker(name="posts", registry=registry, clock=clock, failure_threshold=7)
    applier.take(wire.Desired(1, [], desired))
    return breaker


def test_each_field_comes_from_the_highest_layer_that_sets_it(operator: Person) -> None:
    services.note_declared({"shop": {"posts": {"timeout": 0.9, "retries": 4}}})
    services.save(operator, "", "", {"timeout": 5.0, "success_threshold": 4, "retry_delay": 1.0})
    services.save(operator, "shop", "", {"timeout": 2.0, "retry_delay": 0.1})
    services.save(operator, "shop", "posts", {"timeout": 1.0})
    rows = {row.spec.name: row for row in queries.explained("shop", "posts")}
    assert (rows["timeout"].value, rows["timeout"].source) == (1.0, "breaker")
    assert (rows["timeout"].below, rows["timeout"].below_source) == (2.0, "service")
    assert (rows["retry_delay"].value, rows["retry_delay"].source) == (0.1, "service")
    assert (rows["success_threshold"].value, rows["success_threshold"].source) == (4, "fleet")
    assert (rows["retries"].value, rows["retries"].source) == (4, "code")
    assert rows["window_size"].source == "default"
    policy = in_process(queries.in_force("shop"), wire.Instance("one")).policy
    assert (policy.timeout, policy.retry_delay, policy.success_threshold) == (1.0, 0.1, 4)
    assert policy.failure_threshold == 7
    other = in_process(queries.in_force("bank"), wire.Instance("one")).policy
    assert (other.timeout, other.retry_delay) == (5.0, 1.0)


def test_a_field_can_be_switched_off_over_a_layer_that_sets_it(operator: Person) -> None:
    services.save(operator, "", "", {"timeout": 5.0})
    services.save(operator, "shop", "posts", {"timeout": None, "failure_threshold": None})
    policy = in_process(queries.in_force("shop"), wire.Instance("one")).policy
    assert (policy.timeout, policy.failure_threshold) == (None, None)


def test_a_fleet_default_numbers_the_desired_state_of_every_service(operator: Person) -> None:
    get_or_create_service("shop"), get_or_create_service("bank")
    services.save(operator, "", "", {"timeout": 5.0})
    assert (revision("shop"), revision("bank")) == (1, 1)


@pytest.mark.parametrize(
    ("selector", "is_meant"),
    [
        ({"versions": ["v124"], "zones": ["eu"]}, True),
        ({"versions": ["v124"], "zones": ["us"]}, False),
        ({"versions": ["v123", "v124"]}, True),
        ({"tags": ["canary", "green"]}, True),
        ({"tags": ["blue"]}, False),
        ({"instances": ["two"]}, False),
        ({}, True),
    ],
)
def test_a_selector_names_instances_by_zone_version_and_tag(
    selector: dict[str, list[str]], is_meant: bool
) -> None:
    who = wire.Instance("one", version="v124", zone="eu", tags=["canary"])
    item = wire.PolicyItem("posts", {"timeout": 0.1}, selector=wire.Selector(**selector))
    assert (in_process([item], who).policy.timeout == 0.1) is is_meant


def test_two_editors_lose_nothing(operator: Person) -> None:
    services.save(operator, "shop", "posts", {"timeout": 0.5}, base=0)
    services.save(operator, "shop", "posts", {"timeout": 0.5, "retries": 1}, "less load", base=1)
    with pytest.raises(services.PolicyConflict) as error:
        services.save(operator, "shop", "posts", {"timeout": 0.2}, base=1)
    assert "operator changed retries (less load)" in str(error.value)
    assert BreakerPolicy.objects.get(service="shop").fields == {"timeout": 0.5, "retries": 1}


def test_versions_are_compared_and_copied(operator: Person) -> None:
    first = services.save(operator, "shop", "posts", {"timeout": 0.5, "retries": 2})
    second = services.save(operator, "shop", "posts", {"timeout": None})
    assert queries.compare(first, second) == {
        "retries": {"before": 2},
        "timeout": {"before": 0.5, "after": None},
    }
    services.copy(operator, first.policy, "bank", "ledger")
    assert queries.head("bank", "ledger").fields == {"timeout": None}  # type: ignore[union-attr]


def test_a_bulk_edit_is_all_or_nothing(operator: Person) -> None:
    services.note_declared({"shop": {"a": {}, "b": {}}})
    services.save(operator, "shop", "a", {"retries": 9})
    saved = services.save_many(operator, [("shop", "a"), ("shop", "b")], {"timeout": 1.0})
    assert [version.fields for version in saved] == [
        {"retries": 9, "timeout": 1.0},
        {"timeout": 1.0},
    ]
    scopes = [("shop", "a"), ("shop", "b")]
    services.save(operator, "shop", "a", {"slow_call_duration": 1.0})
    with pytest.raises(ValidationError, match="shop/b"):
        services.save_many(operator, scopes, {"slow_call_rate_threshold": 0.5})
    assert queries.head("shop", "a").fields == {"slow_call_duration": 1.0}  # type: ignore[union-attr]
    assert PolicyVersion.objects.count() == 4


def test_a_refusal_is_kept_until_the_instance_applies(operator: Person) -> None:
    def ack(status: str, reason: str = "") -> wire.Ack:
        item = wire.AckItem("policy", "posts", status, "", reason)
        return wire.Ack("shop", "one", 3, [item])

    record_refusals([("shop", ack("refused", "hedge_delay is not declared"))])
    record_refusals([("bank", ack("applied"))])
    (kept,) = queries.refusals_of("shop", "posts")
    assert (kept.instance, kept.revision, kept.reason) == ("one", 3, "hedge_delay is not declared")
    record_refusals([("shop", ack("refused", "still"))])
    assert [each.reason for each in queries.refusals_of("shop")] == ["still"]
    record_refusals([("shop", ack("applied"))])
    assert not Refusal.objects.exists()
