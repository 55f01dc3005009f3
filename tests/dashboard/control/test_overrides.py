"""An operator's acts: who may, what is refused, and what stands."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from breakers.protocol import messages as wire
from dashboard.access.models import AuditEntry, Person
from dashboard.bus import bus
from dashboard.control import queries, services
from dashboard.control.models import Ack, Override
from dashboard.control.tasks import expire_overrides
from dashboard.fleet.services import revision
from tests import operator_actions

pytestmark = pytest.mark.django_db
GOOD: dict[str, Any] = {
    "service": "shop",
    "breaker": "posts",
    "state": "forced_open",
    "reason": "posts is down",
    "expires_in_s": 900.0,
}


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes]]:
    """What was published."""
    heard: list[tuple[str, bytes]] = []
    monkeypatch.setattr(bus(), "publish", lambda *message: heard.append(message))
    return heard


def test_forcing_is_a_row_with_who_why_and_until_when(operator: Person) -> None:
    override = operator_actions.force(operator, **GOOD)
    assert (override.by, override.reason, override.revision) == ("operator", "posts is down", 1)
    entry = AuditEntry.objects.get()
    assert (entry.by, entry.act, entry.service, entry.breaker) == (
        "operator",
        "forced_open",
        "shop",
        "posts",
    )


def test_gates_hear_of_it_once_it_is_committed(
    operator: Person,
    published: list[tuple[str, bytes]],
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        operator_actions.force(operator, **GOOD)
        assert published == []
    assert published == [("desired", b"shop")]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"reason": "  "}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"expires_in_s": 0}, "expires_in"),
        ({"expires_in_s": -5}, "expires_in"),
        ({"expires_in_s": float("nan")}, "expires_in"),
        ({"expires_in_s": float("inf")}, "expires_in"),
        ({"expires_in_s": 7 * 86_400 + 1}, "expires_in"),
        ({"state": "open"}, "state"),
        ({"service": ""}, "service"),
        ({"breaker": "x" * 121}, "breaker"),
        ({"breaker": "a\nb"}, "breaker"),
        ({"instances": []}, "instances"),
        ({"instances": [""]}, "instances"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_done(
    operator: Person, changed: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as error:
        operator_actions.force(operator, **{**GOOD, **changed})
    assert field in error.value.message_dict
    assert not Override.objects.exists()
    assert not AuditEntry.objects.exists()
    assert revision("shop") == 0


def test_a_viewer_may_neither_force_nor_lift(viewer: Person) -> None:
    with pytest.raises(PermissionDenied):
        operator_actions.force(viewer, **GOOD)
    with pytest.raises(PermissionDenied):
        operator_actions.lift(viewer, "shop", "posts", "why not")


def test_a_new_override_ends_the_one_before(operator: Person) -> None:
    first = operator_actions.force(operator, **GOOD)
    second = operator_actions.force(
        operator, **{**GOOD, "state": "forced_closed", "reason": "well"}
    )
    first.refresh_from_db()
    assert first.ended is not None
    assert first.ended_why == "replaced: well"
    assert [each.id for each in queries.standing()] == [second.id]


def test_lifting_ends_it_once(operator: Person) -> None:
    operator_actions.force(operator, **GOOD)
    assert operator_actions.lift(operator, "shop", "posts", "well again")
    assert not operator_actions.lift(operator, "shop", "posts", "well again")
    assert queries.active_overrides("shop") == []


def test_lifting_needs_a_reason_too(operator: Person) -> None:
    operator_actions.force(operator, **GOOD)
    with pytest.raises(ValidationError):
        operator_actions.lift(operator, "shop", "posts", " ")
    assert len(queries.active_overrides("shop")) == 1


def test_agents_get_the_time_until_expiry(operator: Person) -> None:
    override = operator_actions.force(operator, **GOOD, instances=["one"])
    later = timezone.now() + timedelta(seconds=300)
    Override.objects.update(expires=later)
    (active,) = queries.active_overrides("shop")
    assert active.expires_in_s == pytest.approx(300, abs=5)
    assert (active.id, active.instances) == (override.id, ["one"])
    assert queries.active_overrides("bank") == []


def test_what_is_over_is_ended_by_the_beat_and_written_down(operator: Person) -> None:
    operator_actions.force(operator, **GOOD)
    operator_actions.force(operator, **{**GOOD, "breaker": "users"})
    past = timezone.now() - timedelta(seconds=1)
    Override.objects.filter(breaker="posts").update(expires=past)
    assert queries.active_overrides("shop")[0].breaker == "users"
    assert expire_overrides() == 1
    assert expire_overrides() == 0
    ended = Override.objects.get(breaker="posts")
    assert (ended.ended, ended.ended_why) == (past, "expired")
    assert AuditEntry.objects.filter(act="expired").count() == 1
    assert revision("shop") == 3


class TestAcks:
    def ack(self, *items: wire.AckItem) -> wire.Ack:
        return wire.Ack(service="shop", instance="one", revision=1, items=list(items))

    def test_the_latest_word_of_an_instance_is_kept(self, operator: Person) -> None:
        id = operator_actions.force(operator, **GOOD).id
        refused = wire.AckItem("override", "posts", "refused", id, "no such state")
        services.record_acks([("shop", self.ack(refused))])
        applied = wire.AckItem("override", "posts", "applied", id)
        services.record_acks([("shop", self.ack(applied))])
        row = Ack.objects.get()
        assert (row.instance, row.status, row.reason) == ("one", "applied", "")

    def test_what_nobody_asked_for_is_left_out(self, operator: Person) -> None:
        id = operator_actions.force(operator, **{**GOOD, "service": "bank"}).id
        answer = self.ack(
            wire.AckItem("override", "posts", "applied", "unknown"),
            wire.AckItem("override", "posts", "applied", id),
            wire.AckItem("policy", "posts", "applied"),
        )
        services.record_acks([("shop", answer)])
        assert not Ack.objects.exists()

    def test_many_instances_are_kept_at_once_and_the_last_word_of_each_holds(
        self, operator: Person
    ) -> None:
        id = operator_actions.force(operator, **GOOD).id
        answers = []
        for n in range(50):
            for status in ("refused", "applied"):
                item = wire.AckItem("override", "posts", status, id)
                answers.append(("shop", wire.Ack("shop", f"i{n}", 1, [item])))
        services.record_acks(answers)
        assert set(Ack.objects.values_list("instance", "status")) == {
            (f"i{n}", "applied") for n in range(50)
        }


def test_recent_reasons_are_offered_once_each(operator: Person) -> None:
    for reason in ("a", "b", "a"):
        operator_actions.force(operator, **{**GOOD, "reason": reason})
    assert queries.recent_reasons() == ["a", "b"]
    assert [each.reason for each in queries.recent("shop", "posts")] == ["a", "b", "a"]
    (info,) = queries.override_infos()
    assert (info.service, info.breaker, info.reason) == ("shop", "posts", "a")
