"""Drills: saved, run for a time, told to agents, stopped, and reported."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from breakers.protocol import messages as wire
from dashboard.access.models import AuditEntry, Person
from dashboard.control import drills, services
from dashboard.control.drill_reports import report
from dashboard.control.models import Drill, DrillAck, DrillRun
from dashboard.fleet.services import revision

pytestmark = pytest.mark.django_db


def saved(person: Person, name: str = "slow", **more: Any) -> Drill:
    asked: dict[str, Any] = {"service": "shop", "breaker": "posts", "kind": "latency"}
    asked |= {"latency_s": 2.0, "share": 0.3, "seconds": 60.0} | more
    return drills.save(person, name, **asked)


def test_agents_are_told_of_a_run_until_its_time_is_over(operator: Person) -> None:
    run = drills.run(operator, saved(operator, instances=["web-1"]), "game day")
    (order,) = drills.orders("shop")
    assert (order.id, order.breaker, order.kind) == (run.id, "posts", "latency")
    assert (order.share, order.latency_s, order.instances) == (0.3, 2.0, ["web-1"])
    assert 55 < order.expires_in_s <= 60
    assert revision("shop") == 1
    DrillRun.objects.update(expires=timezone.now() - timedelta(seconds=1))
    assert drills.orders("shop") == []


def test_a_run_is_stopped_once(operator: Person) -> None:
    run = drills.run(operator, saved(operator), "game day")
    assert drills.stop(operator, run.id)
    assert not drills.stop(operator, run.id)
    assert drills.orders("shop") == []
    assert DrillRun.objects.get().ended_by == "operator"
    told = list(AuditEntry.objects.order_by("number").values_list("act", flat=True))
    assert told == ["drill saved", "drill", "drill stopped"]


def test_a_run_keeps_the_fault_that_it_began_with(operator: Person) -> None:
    drill = saved(operator)
    drills.run(operator, drill, "game day")
    saved(operator, share=0.9)
    assert Drill.objects.count() == 1
    assert DrillRun.objects.get().share == 0.3
    drills.forget(operator, Drill.objects.get())
    assert DrillRun.objects.get().name == "slow"


def test_one_drill_at_a_time_runs_at_a_breaker_and_some_in_a_service(operator: Person) -> None:
    drills.run(operator, saved(operator), "game day")
    with pytest.raises(ValidationError, match="under way; stop it first"):
        drills.run(operator, saved(operator, "again"), "game day")
    for n in range(wire.MAX_FAULTS - 1):
        drills.run(operator, saved(operator, f"d{n}", breaker=f"b{n}"), "game day")
    with pytest.raises(ValidationError, match="16 drills of shop are under way"):
        drills.run(operator, saved(operator, "more", breaker="more"), "game day")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"kind": "fire"}, "kind"),
        ({"share": 0.0}, "share"),
        ({"share": float("nan")}, "share"),
        ({"latency_s": 61.0}, "latency_s"),
        ({"latency_s": 0.0}, "latency_s"),
        ({"seconds": 3601.0}, "seconds"),
        ({"seconds": float("inf")}, "seconds"),
        ({"instances": [""]}, "instances"),
        ({"breaker": ""}, "breaker"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(
    operator: Person, wrong: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as error:
        saved(operator, **wrong)
    assert field in error.value.message_dict
    assert not Drill.objects.exists()


def test_only_operators_save_run_and_stop(operator: Person, viewer: Person) -> None:
    drill = saved(operator)
    run = drills.run(operator, drill, "game day")
    for act in (
        lambda: saved(viewer),
        lambda: drills.run(viewer, drill, "mine"),
        lambda: drills.stop(viewer, run.id),
        lambda: drills.forget(viewer, drill),
    ):
        with pytest.raises(PermissionDenied):
            act()
    assert drills.standing("shop").count() == 1


def test_the_report_says_who_obeyed_and_who_refused(operator: Person) -> None:
    run = drills.run(operator, saved(operator), "game day")
    for instance, status, reason in (
        ("web-1", "applied", ""),
        ("web-2", "refused", "faults are not allowed"),
        ("web-1", "applied", ""),
    ):
        item = wire.AckItem("fault", "posts", status, run.id, reason)
        services.record_acks([("shop", wire.Ack("shop", instance, 1, [item]))])
    stranger = wire.AckItem("fault", "posts", "applied", run.id)
    services.record_acks([("bank", wire.Ack("bank", "b-1", 1, [stranger]))])
    found = report(run, operator)
    assert found.obeyed == ["web-1"]
    assert found.refused == [("web-2", "faults are not allowed")]
    assert DrillAck.objects.count() == 2
    assert (found.tripped, found.seen) == ([], [])
