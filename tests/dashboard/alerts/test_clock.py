"""Steps of the wall clock, and times without an evaluation, fire nothing and lose nothing."""

from __future__ import annotations

import pytest

from dashboard.alerts.incidents import CALM_S
from dashboard.alerts.models import Firing, Incident, OutboxMessage
from dashboard.history.models import Rollup
from tests.dashboard.alerts.fleet import NOW, Fleet

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = 3600.0


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def kinds() -> set[str]:
    return set(Firing.objects.values_list("rule__kind", flat=True))


def test_a_step_forward_does_not_let_a_condition_have_held_longer(fleet: Fleet) -> None:
    runner = fleet.runner()
    fleet.show("shop", "half_open", "posts")
    fleet.rounds(runner, 3)
    fleet.step(HOUR)
    fleet.rounds(runner, 60)
    assert "half_open_stuck" not in kinds()
    fleet.rounds(runner, 60)
    assert "half_open_stuck" in kinds()


def test_a_step_back_does_not_delay_what_has_begun(fleet: Fleet) -> None:
    runner = fleet.runner()
    fleet.show("shop", "closed", "posts")
    fleet.round(runner)
    fleet.show("shop", "open", "posts")
    fleet.round(runner)
    fleet.step(-HOUR)
    fleet.rounds(runner, 3)
    assert "open_share" in kinds()
    assert OutboxMessage.objects.count() == 1


def test_what_trips_after_a_step_back_fires_in_time(fleet: Fleet) -> None:
    runner = fleet.runner()
    fleet.show("shop", "closed", "posts")
    fleet.rounds(runner, 2)
    fleet.step(-HOUR)
    fleet.show("shop", "open", "posts")
    fleet.rounds(runner, 4)
    assert "open_share" in kinds()


def test_steps_end_nothing_and_send_nothing_twice(fleet: Fleet) -> None:
    runner = fleet.runner()
    fleet.show("shop", "open", "posts")
    fleet.rounds(runner, 5)
    for seconds in (HOUR, -2 * HOUR, HOUR):
        fleet.step(seconds)
        fleet.rounds(runner, 3)
    assert Firing.objects.filter(rule__kind="open_share", ended=None).count() == 1
    assert OutboxMessage.objects.count() == 1


def test_an_incident_closes_after_calm_though_the_clock_stepped_back(fleet: Fleet) -> None:
    runner = fleet.runner()
    fleet.show("shop", "open", "posts")
    fleet.rounds(runner, 5)
    fleet.show("shop", "closed", "posts")
    fleet.round(runner)
    fleet.step(-HOUR)
    fleet.rounds(runner, 2)
    fleet.round(runner, CALM_S + 1)
    assert Incident.objects.get().ended is not None


class TestMinutesThatNobodyEvaluated:
    """Traffic of half an hour, then none in the minutes of the gap."""

    @pytest.fixture(autouse=True)
    def busy(self, fleet: Fleet) -> None:
        Rollup.objects.bulk_create(
            Rollup(service="shop", breaker="posts", start=int(NOW) - 10 * n, success=100)
            for n in range(1, 200)
        )
        fleet.show("shop", "closed", "posts")

    def test_traffic_that_is_gone_is_noticed(self, fleet: Fleet) -> None:
        runner = fleet.runner()
        fleet.rounds(runner, 1)
        for _ in range(60):
            fleet.round(runner, 5.0)
        assert "traffic_gone" in kinds()

    @pytest.mark.parametrize("after_s", [200.0, 2 * HOUR])
    def test_a_silent_fleet_worker_is_no_traffic_that_is_gone(
        self, fleet: Fleet, after_s: float
    ) -> None:
        runner = fleet.runner()
        fleet.rounds(runner, 2)
        fleet.round(runner, after_s)
        busy_again = int(fleet.now)
        Rollup.objects.bulk_create(
            Rollup(service="shop", breaker="posts", start=busy_again + 10 * n, success=100)
            for n in range(-6, 30)
        )
        for _ in range(40):
            fleet.round(runner, 5.0)
        assert kinds() == set()

    def test_a_step_forward_is_no_traffic_that_is_gone(self, fleet: Fleet) -> None:
        runner = fleet.runner()
        fleet.rounds(runner, 2)
        fleet.step(2 * HOUR)
        Rollup.objects.bulk_create(
            Rollup(service="shop", breaker="posts", start=int(fleet.now) + 10 * n, success=100)
            for n in range(30)
        )
        for _ in range(40):
            fleet.round(runner, 5.0)
        assert kinds() == set()
