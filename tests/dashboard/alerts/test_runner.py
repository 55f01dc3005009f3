"""The runner turns frames into incidents and messages, in one process at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from benchmarks.alerts import frame
from dashboard.alerts.models import Channel, Firing, Incident, Marker, OutboxMessage, Route
from dashboard.alerts.runner import Runner
from dashboard.bus.memory import MemoryBus
from dashboard.fleet.snapshot.store import FleetSnapshot

pytestmark = pytest.mark.django_db(transaction=True)
NOW = 1_800_000_000.0


class Fleet:
    """A snapshot and the runners over it, at a time that the test sets."""

    def __init__(self) -> None:
        self.now = NOW
        self.seq = 0
        self.snapshot = FleetSnapshot(MemoryBus())
        channel = Channel.objects.create(name="ops", kind="webhook", url="http://127.0.0.1:1/")
        Route.objects.create(name="all", channel=channel, min_severity="info")

    def runner(self) -> Runner:
        return Runner(self.snapshot, lambda: self.now, own_thread=False)

    def show(self, service: str, state: str, *breakers: str, version: str = "v1") -> None:
        self.seq += 1
        shown: Any = frame(service, breakers, state, self.now, self.seq, version)
        self.snapshot.merge(shown)

    def round(self, runner: Runner, after_s: float = 1.0) -> None:
        self.now += after_s
        self.snapshot.at = self.now
        asyncio.run(runner.round())


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
    asyncio.run(runner.round())
    assert Firing.objects.filter(ended=None).count() >= 1
