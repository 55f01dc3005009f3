"""The fleet at one moment of the kept history."""

from __future__ import annotations

import pytest

from breakers.protocol import messages as wire
from dashboard.history import partitions, queries, services
from dashboard.history.levels import DAY, TRANSITIONS
from dashboard.history.models import Outage, Transition
from tests.dashboard.history.reports import NOW, absorb

pytestmark = pytest.mark.django_db
POSTS = ("shop", "posts")


def outage(began: float, ended: float | None) -> None:
    Outage.objects.create(
        id=f"o{began}", service="shop", breaker="posts", began=began, ended=ended,
        cause="5 timeouts in a row", instance="one", instances=2,
    )  # fmt: skip


def change(at: float, before: str, after: str, instance: str = "one") -> None:
    number = int(at * 10)
    partitions.ensure(TRANSITIONS, [at])
    Transition.objects.create(
        at=at, key=number, service="shop", breaker="posts", instance=instance, boot="b",
        number=number, before=before, after=after, cause="because", window={},
    )  # fmt: skip


def test_figures_are_of_the_last_ten_seconds_that_were_complete() -> None:
    base = NOW // 10 * 10
    for second in range(0, 60, 10):
        absorb(base + second + 5, success=20 + second, failure=0)
    step, found = queries.moment(base + 34, now=base + 120)
    view = found[POSTS]
    assert step == 10
    assert (view.figures["ran"], view.figures["rate"]) == (40, 4.0)
    assert view.figures["failed_pct"] == 0.0
    assert view.figures["p99_ms"] is not None
    assert view.minute[0][-20:] == [3] * 10 + [4] * 10
    assert (view.outage, view.states) == (None, {})


def test_older_moments_are_of_the_minute_and_scaled_to_ten_seconds() -> None:
    base = NOW // 60 * 60
    for second in range(0, 120, 10):
        absorb(base + second + 5, success=20, failure=10)
    services.roll_up(base + 600)
    step, found = queries.moment(base + 70, now=base + 2 * DAY)
    assert step == 60
    assert found[POSTS].figures["rate"] == 3.0
    assert found[POSTS].figures["ran"] == 30
    assert found[POSTS].figures["failed"] == 10


def test_a_breaker_is_in_the_outage_that_lasted_then_as_far_as_it_had_come() -> None:
    absorb(NOW)
    outage(NOW, NOW + 600)
    change(NOW, "closed", "open")
    change(NOW + 30, "half_open", "open")
    change(NOW + 40, "open", "half_open")
    change(NOW + 45, "closed", "open", instance="two")
    change(NOW + 90, "half_open", "open")
    view = queries.moment(NOW + 60, now=NOW + 3600)[1][POSTS]
    assert view.outage is not None
    assert (view.outage["began"], view.outage["failed_tests"]) == (NOW, 1)
    assert view.states == {"half_open": 1, "open": 1}
    assert view.last is not None
    assert view.last["instance"] == "two"
    after = queries.moment(NOW + 601, now=NOW + 3600)[1][POSTS]
    assert (after.outage, after.states) == (None, {})
    before = queries.moment(NOW - 1, now=NOW + 3600)[1]
    assert before.get(POSTS) is None or before[POSTS].outage is None


def test_a_breaker_that_nobody_called_for_a_while_is_still_there() -> None:
    absorb(NOW)
    view = queries.moment(NOW + 300, now=NOW + 400)[1][POSTS]
    assert view.figures["rate"] == 0.0
    assert queries.moment(NOW + 900, now=NOW + 1000)[1] == {}


def test_history_begins_with_the_first_report() -> None:
    assert queries.oldest() is None
    absorb(NOW, transitions=[wire.Transition(1, 0.0, "closed", "open", "failures")])
    assert queries.oldest() == NOW // 10 * 10 or queries.oldest() == NOW // 10 * 10 - 10
