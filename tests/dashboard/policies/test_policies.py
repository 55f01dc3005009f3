"""Policies: checked like the library checks them, kept as versions, in force at once."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from dashboard.access.models import AuditEntry, Person
from dashboard.fleet.services import revision
from dashboard.policies import queries, services
from dashboard.policies.forms import PolicyForm
from dashboard.policies.models import BreakerPolicy, PolicyVersion

pytestmark = pytest.mark.django_db


def test_a_policy_is_a_version_with_who_why_and_what_changed(operator: Person) -> None:
    services.save(operator, "shop", "posts", {"timeout": 0.5}, "too slow")
    version = services.save(operator, "shop", "posts", {"timeout": 0.2, "retries": 1}, "still")
    assert (version.number, version.by, version.reason) == (2, "operator", "still")
    assert version.diff == {
        "retries": {"after": 1},
        "timeout": {"before": 0.5, "after": 0.2},
    }
    assert AuditEntry.objects.filter(act="policy").count() == 2
    assert revision("shop") == 2


def test_the_newest_is_in_force(operator: Person) -> None:
    services.save(operator, "shop", "posts", {"timeout": 0.5})
    services.save(operator, "shop", "posts", {"timeout": 0.2})
    (item,) = queries.in_force("shop")
    assert (item.breaker, item.fields) == ("posts", {"timeout": 0.2})
    assert queries.in_force("bank") == []


def test_an_empty_one_goes_back_to_code(operator: Person) -> None:
    services.save(operator, "shop", "posts", {"timeout": 0.5})
    services.save(operator, "shop", "posts", {})
    assert queries.in_force("shop") == []


def test_what_changes_nothing_is_no_version(operator: Person) -> None:
    services.save(operator, "shop", "posts", {"timeout": 0.5})
    with pytest.raises(ValidationError, match="Nothing has changed"):
        services.save(operator, "shop", "posts", {"timeout": 0.5})
    assert PolicyVersion.objects.count() == 1
    assert revision("shop") == 1


def test_rolling_back_is_a_new_version(operator: Person) -> None:
    first = services.save(operator, "shop", "posts", {"timeout": 0.5})
    services.save(operator, "shop", "posts", {"timeout": 0.2})
    third = services.roll_back(operator, first)
    assert (third.number, third.fields, third.reason) == (
        3,
        {"timeout": 0.5},
        "back to version 1",
    )


def test_a_viewer_may_not(viewer: Person) -> None:
    with pytest.raises(PermissionDenied):
        services.save(viewer, "shop", "posts", {"timeout": 0.5})


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"timeout": 0}, "timeout"),
        ({"retries": 0}, "retries"),
        ({"success_threshold": 1.5}, "success_threshold"),
        ({"colour": "red"}, "colour"),
        ({"slow_call_rate_threshold": 0.5}, "slow_call_duration"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_saved(
    operator: Person, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as error:
        services.save(operator, "shop", "posts", fields)
    assert field in error.value.message_dict
    assert not BreakerPolicy.objects.exists()


def test_all_that_is_wrong_is_said_at_once(operator: Person) -> None:
    with pytest.raises(ValidationError) as error:
        services.save(operator, "shop", "posts", {"timeout": 0.0, "retries": 99})
    assert error.value.message_dict == {
        "timeout": ["0 cannot be: it must be a number from 0.001 to 3600 s."],
        "retries": ["99 cannot be: it must be a whole number from 1 to 20."],
    }


def test_it_must_hold_together_with_what_code_declares(operator: Person) -> None:
    services.note_declared({"shop": {"posts": {"slow_call_duration": 1.0}}})
    services.save(operator, "shop", "posts", {"slow_call_rate_threshold": 0.5})


def test_what_code_declares_is_kept_and_explained(operator: Person) -> None:
    services.note_declared({"shop": {"posts": {"timeout": 0.5}}})
    services.note_declared({"shop": {"posts": {"timeout": 0.7}}})
    services.save(operator, "shop", "posts", {"retries": 1})
    rows = {row.spec.name: row for row in queries.explained("shop", "posts")}
    assert (rows["timeout"].value, rows["timeout"].source) == (0.7, "code")
    assert (rows["retries"].value, rows["retries"].source) == (1, "breaker")
    assert rows["retries"].declared == 3


def test_a_fleet_that_restarts_declares_in_one_statement_and_leaves_what_is_saved(
    operator: Person, django_assert_num_queries: Any
) -> None:
    services.save(operator, "shop", "posts", {"retries": 1})
    with django_assert_num_queries(1):
        services.note_declared(
            {name: {f"b{n}": {"timeout": 0.5} for n in range(50)} for name in ("bank", "mail")}
            | {"shop": {"posts": {"timeout": 0.7}}}
        )
    kept = BreakerPolicy.objects.get(service="shop", breaker="posts")
    assert (kept.number, kept.fields, kept.declared) == (1, {"retries": 1}, {"timeout": 0.7})
    assert BreakerPolicy.objects.filter(service="bank").count() == 50
    with django_assert_num_queries(0):
        services.note_declared({})


def test_what_calls_obey_is_kept_with_what_is_declared() -> None:
    services.note_declared({"shop": {"orders": {}}}, {"shop": {"orders": ["failure_threshold"]}})
    row = BreakerPolicy.objects.get(service="shop", breaker="orders")
    assert row.honours == ["failure_threshold"]
    form = PolicyForm(instance=row)
    assert form.fields["failure_threshold"].is_obeyed  # type: ignore[attr-defined]
    assert not form.fields["timeout"].is_obeyed  # type: ignore[attr-defined]
    services.note_declared({"shop": {"orders": {}}}, {"shop": {"orders": None}})
    row.refresh_from_db()
    assert PolicyForm(instance=row).fields["timeout"].is_obeyed  # type: ignore[attr-defined]
