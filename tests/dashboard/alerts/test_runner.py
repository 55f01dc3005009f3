"""The runner turns frames into incidents and messages, in one process at a time."""

from __future__ import annotations

import asyncio

import pytest

from dashboard.alerts.models import Firing, Incident, Marker, OutboxMessage, Route
from tests.dashboard.alerts.fleet import Fleet

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def test_a_trip_becomes_one_incident_and_one_message(fleet: Fleet) -> None:
    runner = fleet.runner()
    fleet.show("shop", "closed", "posts")
    fleet.round(runner)
    fleet.show("shop", "open", "posts")
    for _ in range(5):
        fleet.round(runner)
    assert Incident.objects.get().headline.startswith("posts failing for shop on 4 of 4")
    assert OutboxMessage.objects.count() == 1
    fleet.show("shop", "closed", "posts")
    fleet.round(runner)
    fleet.round(runner, 70)
    assert Incident.objects.get().ended is not None
    assert set(OutboxMessage.objects.values_list("kind", flat=True)) == {"opened", "resolved"}


def test_who_takes_the_lease_over_fires_nothing_again(fleet: Fleet) -> None:
    first, second = fleet.runner(), fleet.runner()
    fleet.show("shop", "open", "posts")
    for _ in range(5):
        fleet.round(first)
    fleet.round(second, 0.1)
    assert second.evaluator is None
    # The first dies; its lease ends.
    for _ in range(4):
        fleet.round(second, 3)
    assert second.evaluator is not None
    assert Firing.objects.filter(rule__kind="open_share").count() == 1
    assert OutboxMessage.objects.count() == 1
    fleet.show("shop", "closed", "posts")
    fleet.round(second)
    assert Firing.objects.filter(rule__kind="open_share", ended=None).count() == 0


def test_a_new_version_becomes_a_marker(fleet: Fleet) -> None:
    runner = fleet.runner()
    fleet.show("shop", "closed", "posts")
    fleet.round(runner)
    fleet.show("shop", "closed", "posts", version="v2")
    fleet.round(runner)
    fleet.round(runner)
    assert [row.version for row in Marker.objects.all()] == ["v2"]


def test_a_silent_fleet_worker_ends_nothing(fleet: Fleet) -> None:
    runner = fleet.runner()
    fleet.show("shop", "open", "posts")
    for _ in range(5):
        fleet.round(runner)
    fleet.now += 100
    fleet.steady += 100
    asyncio.run(runner.round())
    assert Firing.objects.filter(ended=None).count() >= 1


def test_a_flood_is_one_incident_and_one_message_for_each_route(fleet: Fleet) -> None:
    Route.objects.create(name="second", channel=fleet.channel)
    runner = fleet.runner()
    for n in range(40):
        fleet.show(f"s{n}", "closed", "db", "cache", "mail")
    fleet.round(runner)
    for n in range(40):
        fleet.show(f"s{n}", "open", "db", "cache", "mail")
    fleet.rounds(runner, 10)
    assert Incident.objects.count() == 1
    assert Firing.objects.filter(rule__kind="open_share").count() == 120
    assert OutboxMessage.objects.count() == 2
