"""The drill of the kill path: harmless, once a day, and it names who would not obey."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from breakers.protocol import messages as wire
from dashboard.access.models import AuditEntry, Person
from dashboard.control import kill_path, queries, services
from dashboard.control.models import Ack, Override
from tests import operator_actions

pytestmark = pytest.mark.django_db
LIVE = ("web-1", "web-2", "web-3")


def view(name: str, instances: tuple[str, ...] = LIVE, **more: Any) -> dict[str, Any]:
    at = [{"id": each, "stale": False} for each in instances]
    return {"name": name, "state": "closed", "rate": 5.0, "override": None, "instances": at} | more


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[dict[str, Any]]]:
    """Breakers by service, as the snapshot has them."""
    found: dict[str, list[dict[str, Any]]] = {"shop": [view("posts"), view("users", rate=1.0)]}

    def snapshot(wanted: str | None = None) -> dict[str, Any]:
        return {
            "services": [
                {"name": name, "breakers": breakers}
                for name, breakers in found.items()
                if wanted in (None, name)
            ]
        }

    monkeypatch.setattr(kill_path, "snapshot", snapshot)
    monkeypatch.setattr(kill_path, "service_names", lambda: sorted(found))
    return found


def answer(override: Override, instance: str, status: str = "applied", reason: str = "") -> None:
    item = wire.AckItem("override", override.breaker, status, override.id, reason)
    services.record_acks([(override.service, wire.Ack("shop", instance, 1, [item]))])


def test_it_refuses_no_call_and_ends_by_itself(fleet: Any, operator: Person) -> None:
    made = kill_path.drill("shop", operator)
    (sent,) = queries.active_overrides("shop")
    assert sent.state == "metrics_only"
    assert sent.expires_in_s is not None
    assert sent.expires_in_s <= kill_path.LASTS_S
    assert made.breaker == "users"  # the one with the fewest calls
    assert AuditEntry.objects.get().by == "operator"


def test_it_tells_seconds_to_obey_and_names_who_would_not(fleet: Any) -> None:
    made = kill_path.drill("shop")
    answer(made, "web-1")
    answer(made, "web-2", "refused", "this process only reports")
    Ack.objects.filter(instance="web-1").update(first=made.created + timedelta(seconds=0.4))
    answer(made, "web-1")  # told again because of another change: the first answer counts
    found = kill_path.last("shop")
    assert found is not None
    assert found.obeyed == {"web-1": 0.4}
    assert (found.half_s, found.all_s) == (0.4, 0.4)
    assert found.refused == {"web-2": "this process only reports"}
    assert found.silent == ["web-3"]
    assert found.would_not == ["web-2", "web-3"]


def test_who_is_silent_may_answer_until_the_drill_ends(fleet: Any) -> None:
    made = kill_path.drill("shop")
    for instance in LIVE[:2]:
        answer(made, instance)
    waiting = kill_path.last("shop")
    assert waiting is not None
    assert waiting.waits
    Override.objects.filter(pk=made.pk).update(expires=timezone.now())
    over = kill_path.last("shop")
    assert over is not None
    assert not over.waits
    assert over.silent == ["web-3"]


def test_breakers_that_are_open_forced_or_silent_are_left_alone(fleet: Any) -> None:
    stale = [{"id": "web-1", "stale": True}]
    fleet["shop"] = [
        view("open", state="open"),
        view("forced", override={"id": "o"}),
        view("silent", instances=()) | {"instances": stale},
    ]
    with pytest.raises(ValidationError, match="No breaker of it is closed"):
        kill_path.drill("shop")
    assert kill_path.last("shop") is None


def test_the_breaker_on_the_most_instances_is_drilled(fleet: Any) -> None:
    fleet["shop"] = [view("few", ("web-1",), rate=0.0), view("all", rate=90.0)]
    assert kill_path.drill("shop").breaker == "all"


def test_each_service_is_drilled_once_a_day(fleet: Any) -> None:
    fleet["bank"] = [view("ledger")]
    fleet["down"] = [view("x", state="open")]
    assert kill_path.drill_due() == 2
    assert kill_path.drill_due() == 0
    Override.objects.filter(service="bank").update(
        created=timezone.now() - timedelta(hours=25), ended=timezone.now()
    )
    assert kill_path.drill_due() == 1


def test_an_operators_override_is_never_replaced(
    fleet: Any, operator: Person, viewer: Person
) -> None:
    operator_actions.force(operator, "shop", "users", "forced_open", "down", 60.0)
    with pytest.raises(ValidationError, match="Somebody has forced users"):
        kill_path.drill("shop")
    with pytest.raises(PermissionDenied):
        kill_path.drill("shop", viewer)


def test_its_reason_is_not_offered_to_people(fleet: Any, operator: Person) -> None:
    kill_path.drill("shop")
    operator_actions.force(operator, "shop", "posts", "forced_open", "down", 60.0)
    assert queries.recent_reasons() == ["down"]
