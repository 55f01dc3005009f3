"""Acts on many breakers: once each, service by service, told plainly, and undone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DatabaseError
from django.utils import timezone

from dashboard.access.models import AuditEntry, Person
from dashboard.control import actions, override_writes, queries
from dashboard.control.models import Act, Override
from dashboard.control.override_writes import Target
from dashboard.fleet.services import revision
from tests import operator_actions

pytestmark = pytest.mark.django_db
POSTS, USERS, BANK = Target("shop", "posts"), Target("shop", "users"), Target("bank", "posts")
ALL = [POSTS, USERS, BANK]


def force(person: Person, id: str = "act-0001", targets: Any = ALL, **more: Any) -> actions.Outcome:
    asked = {"state": "forced_open", "reason": "all is down", "expires_in_s": 900.0, **more}
    return actions.act(person, id, targets, **asked)


def standing() -> set[tuple[str, str, str]]:
    return set(queries.standing().values_list("service", "breaker", "state"))


def test_each_service_is_told_once_however_many_breakers(operator: Person) -> None:
    outcome = force(operator)
    assert [(part.service, len(part.made)) for part in outcome.parts] == [("bank", 1), ("shop", 2)]
    assert (revision("shop"), revision("bank")) == (1, 1)
    assert len(standing()) == 3
    assert {row.revision for row in Override.objects.all()} == {1}


def test_every_breaker_has_its_line_in_the_audit_trail(operator: Person) -> None:
    force(operator)
    lines = AuditEntry.objects.filter(act="forced_open")
    assert {(line.service, line.breaker) for line in lines} == {
        (each.service, each.breaker) for each in ALL
    }
    assert {line.detail["part_of"] for line in lines} == {"act-0001"}


def test_the_same_act_twice_is_done_once(operator: Person) -> None:
    first = force(operator)
    assert force(operator) == first
    assert Override.objects.count() == 3
    assert Act.objects.count() == 1


def test_an_id_means_one_act(operator: Person, viewer: Person) -> None:
    force(operator)
    for other in ({"reason": "another"}, {"targets": [POSTS]}, {"state": "metrics_only"}):
        with pytest.raises(ValidationError, match="names another act"):
            force(operator, **other)


def test_a_service_that_fails_is_told_and_the_others_are_done(
    operator: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = override_writes.force

    def fail_at_the_bank(step: override_writes.Step, *args: Any) -> Any:
        if step.service == "bank":
            raise DatabaseError("the disk is full")
        return make(step, *args)

    monkeypatch.setattr(actions, "force", fail_at_the_bank)
    bank, shop = force(operator).parts
    assert "nothing was done here" in bank.error
    assert not shop.error
    assert standing() == {("shop", "posts", "forced_open"), ("shop", "users", "forced_open")}
    # The same act again goes on where it stopped, and repeats nothing.
    monkeypatch.undo()
    again = force(operator)
    assert [part.error for part in again.parts] == ["", ""]
    assert again.parts[1].made == shop.made
    assert len(standing()) == 3


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"targets": []}, "targets"),
        ({"targets": [POSTS, POSTS]}, "targets"),
        ({"targets": [Target("shop", str(n)) for n in range(5001)]}, "targets"),
        ({"targets": [Target("shop", "")]}, "breaker"),
        ({"reason": " "}, "reason"),
        ({"expires_in_s": None}, "expires_in"),
        ({"expires_in_s": 1e9}, "expires_in"),
        ({"state": "open"}, "state"),
        ({"id": "short"}, "id"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_done(
    operator: Person, changed: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as error:
        force(operator, **changed)
    assert field in error.value.message_dict
    assert not Override.objects.exists()
    assert not AuditEntry.objects.exists()
    assert not Act.objects.exists()


def test_a_viewer_may_neither_act_nor_undo(operator: Person, viewer: Person) -> None:
    with pytest.raises(PermissionDenied):
        force(viewer)
    force(operator)
    with pytest.raises(PermissionDenied):
        actions.undo(viewer, "undo-001", "act-0001")


def test_automatic_releases_what_is_forced_and_says_what_was_not(operator: Person) -> None:
    force(operator, targets=[POSTS])
    outcome = actions.act(operator, "act-0002", [POSTS, USERS], "automatic", "well again")
    (part,) = outcome.parts
    assert part.made == {"posts": None}
    assert part.kept == {"users": "automatic already"}
    assert standing() == set()


def test_a_reset_is_closed_for_a_moment_and_says_so_in_the_audit_trail(operator: Person) -> None:
    actions.act(operator, "act-0001", [POSTS], "reset", "a fresh start")
    (row,) = queries.standing()
    assert row.state == "forced_closed"
    assert row.expires - timezone.now() <= timedelta(seconds=actions.RESET_S)
    assert AuditEntry.objects.get().act == "reset"


class TestUndo:
    def test_forced_ones_are_released(self, operator: Person) -> None:
        force(operator)
        actions.undo(operator, "undo-001", "act-0001")
        assert standing() == set()
        assert AuditEntry.objects.filter(act="undo").count() == 3

    def test_what_stood_before_comes_back_with_the_time_it_had_left(self, operator: Person) -> None:
        before = operator_actions.force(
            operator, "shop", "posts", "metrics_only", "watch", 300.0, ["one"]
        )
        force(operator, targets=[POSTS])
        actions.undo(operator, "undo-001", "act-0001")
        (now,) = queries.standing()
        assert (now.state, now.reason, now.instances) == ("metrics_only", "watch", ["one"])
        assert now.expires == before.expires
        assert now.id != before.id

    def test_released_ones_are_forced_again(self, operator: Person) -> None:
        force(operator, targets=[POSTS])
        actions.act(operator, "act-0002", [POSTS], "automatic", "well again")
        actions.undo(operator, "undo-001", "act-0002")
        assert standing() == {("shop", "posts", "forced_open")}

    def test_what_somebody_has_changed_since_is_left_alone(self, operator: Person) -> None:
        force(operator, targets=[POSTS, USERS])
        operator_actions.force(operator, "shop", "posts", "forced_closed", "no, closed", 300.0)
        (part,) = actions.undo(operator, "undo-001", "act-0001").parts
        assert part.kept == {"posts": "operator has since changed it"}
        assert standing() == {("shop", "posts", "forced_closed")}

    def test_it_can_be_undone_itself(self, operator: Person) -> None:
        force(operator, targets=[POSTS])
        actions.undo(operator, "undo-001", "act-0001")
        actions.undo(operator, "undo-002", "undo-001")
        assert standing() == {("shop", "posts", "forced_open")}

    def test_twice_is_once(self, operator: Person) -> None:
        force(operator)
        first = actions.undo(operator, "undo-001", "act-0001")
        assert actions.undo(operator, "undo-001", "act-0001") == first

    def test_a_reset_or_nothing_cannot_be_undone(self, operator: Person) -> None:
        actions.act(operator, "act-0001", [POSTS], "reset", "a fresh start")
        for id in ("act-0001", "act-9999"):
            with pytest.raises(ValidationError):
                actions.undo(operator, "undo-001", id)
