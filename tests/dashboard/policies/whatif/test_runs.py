"""What-ifs as people ask for them, and incidents that are kept as tests."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from breakers.protocol import messages as wire
from dashboard.access.models import Person
from dashboard.bus.memory import MemoryBus
from dashboard.fleet.snapshot import process
from dashboard.fleet.snapshot.store import FleetSnapshot
from dashboard.history.models import Rollup
from dashboard.policies import services
from dashboard.policies.models import Replay
from dashboard.policies.tasks import run_replays
from dashboard.policies.whatif import runs
from tests.dashboard.web.showing import showing

pytestmark = pytest.mark.django_db


@pytest.fixture
def outage() -> tuple[float, float]:
    """Twenty minutes of posts, the last ten of which fail."""
    end = time.time() // 10 * 10 - 60
    begin = end - 1200
    Rollup.objects.bulk_create(
        Rollup(
            service="shop",
            breaker="posts",
            start=int(begin + 10 * n),
            success=100 if n < 60 else 0,
            failure=0 if n < 60 else 100,
            sketch=[-30, 100],
        )
        for n in range(120)
    )
    return begin, end


def test_a_what_if_is_queued_run_and_kept(operator: Person, outage: tuple[float, float]) -> None:
    asked = runs.ask(operator, "shop", "posts", {"failure_threshold": 50}, *outage)
    assert run_replays() == 1
    done = Replay.objects.get(pk=asked.pk)
    assert (done.state, done.progress) == (Replay.DONE, 1.0)
    assert done.result["actual"]["calls"] == 12_000
    assert done.result["candidate"]["failures"] > done.result["in_force"]["failures"]
    assert "12,000 calls" in done.result["sentence"]
    assert run_replays() == 0


def test_a_worker_that_does_not_follow_the_fleet_runs_it(
    operator: Person, outage: tuple[float, float]
) -> None:
    with showing() as show:
        for name in ("one", "two", "three"):
            show("shop", wire.BreakerReport("posts", "closed"), instance=name)
        asked = runs.ask(operator, "shop", "posts", {"failure_threshold": 50}, *outage)
        # As in a Celery worker.
        process.replace(FleetSnapshot(MemoryBus()))
        assert run_replays() == 1
    done = Replay.objects.get(pk=asked.pk)
    assert (done.state, done.error) == (Replay.DONE, "")
    assert len(done.result["candidate"]["strips"]) == 3


def test_one_whose_worker_died_fails_and_can_be_asked_again(
    operator: Person, outage: tuple[float, float]
) -> None:
    asked = runs.ask(operator, "shop", "posts", {}, *outage)
    old = timezone.now() - timedelta(minutes=20)
    Replay.objects.filter(pk=asked.pk).update(state=Replay.RUNNING, created=old)
    assert run_replays() == 0
    assert Replay.objects.get(pk=asked.pk).state == Replay.FAILED


def test_a_cancelled_what_if_is_not_run(operator: Person, outage: tuple[float, float]) -> None:
    asked = runs.ask(operator, "shop", "posts", {}, *outage)
    assert runs.cancel(operator, asked.pk)
    assert run_replays() == 0
    assert Replay.objects.get(pk=asked.pk).state == Replay.CANCELLED


def test_one_that_is_cancelled_while_it_runs_ends(
    operator: Person, outage: tuple[float, float]
) -> None:
    asked = runs.ask(operator, "shop", "posts", {}, *outage)
    Replay.objects.filter(pk=asked.pk).update(state=Replay.CANCELLED)
    runs.run(asked)
    assert Replay.objects.get(pk=asked.pk).result == {}


@pytest.mark.parametrize(
    ("begins", "ends"), [(10.0, 5.0), (float("nan"), 5.0), (0.0, 1e308), (5.0, float("inf"))]
)
def test_a_range_that_cannot_be_replayed_is_refused(
    operator: Person, begins: float, ends: float
) -> None:
    with pytest.raises(ValidationError):
        runs.ask(operator, "shop", "posts", {}, begins, ends)
    assert not Replay.objects.exists()


def test_a_viewer_may_not_ask(viewer: Person, outage: tuple[float, float]) -> None:
    with pytest.raises(PermissionDenied):
        runs.ask(viewer, "shop", "posts", {}, *outage)


def test_an_incident_outlives_history_and_tells_a_worse_candidate(
    operator: Person, outage: tuple[float, float]
) -> None:
    runs.save_incident(operator, "posts, 24 November", "shop", "posts", *outage)
    Rollup.objects.all().delete()
    with pytest.raises(ValidationError, match="There is an incident"):
        runs.save_incident(operator, "posts, 24 November", "shop", "posts", *outage)
    (same,) = runs.judge_incidents("shop", "posts", {})
    assert not same["is_worse"]
    (worse,) = runs.judge_incidents("shop", "posts", {"failure_threshold": None})
    assert worse["is_worse"]
    assert worse["after"] == 6000
    assert worse["sentence"].startswith("posts, 24 November: 6,000 calls fail or are lost")


def test_a_range_without_traffic_is_no_incident(operator: Person) -> None:
    services.note_declared({"shop": {"posts": {}}})
    with pytest.raises(ValidationError, match="no traffic"):
        runs.save_incident(operator, "empty", "shop", "posts", 0.0, 100.0)
