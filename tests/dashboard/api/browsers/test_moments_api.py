"""The time machine's answers, and what the charts of a breaker are marked with."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.access.models import Person
from dashboard.control.models import Override
from dashboard.policies import services as policies
from dashboard.policies.models import PolicyVersion
from dashboard.policies.value_history import value_steps
from tests.dashboard.history.reports import absorb

pytestmark = pytest.mark.django_db
POSTS = "/api/v1/services/shop/breakers/posts"


@pytest.fixture
def eve(client: Client, viewer: Person) -> Client:
    client.force_login(viewer)
    return client


def override(created_ago_s: float, ended_ago_s: float | None, **more: Any) -> Override:
    now = timezone.now()
    row = Override.objects.create(
        id=f"o{created_ago_s:g}", service="shop", breaker="posts", state="forced_open",
        reason="INC-1", by="ann", revision=1, expires=now + timedelta(hours=1), **more,
    )  # fmt: skip
    ended = None if ended_ago_s is None else now - timedelta(seconds=ended_ago_s)
    Override.objects.filter(pk=row.pk).update(
        created=now - timedelta(seconds=created_ago_s), ended=ended, ended_why="over"
    )
    return row


def breaker_at(client: Client, ago_s: float) -> dict[str, Any]:
    answer = client.get("/api/v1/moment", {"at": f"{time.time() - ago_s:.3f}"}).json()
    (service,) = answer["services"]
    (view,) = service["breakers"]
    found: dict[str, Any] = view
    return found


def test_a_moment_is_a_snapshot_with_the_overrides_of_then(eve: Client) -> None:
    absorb(time.time() - 300)
    override(200, 100)
    assert breaker_at(eve, 250)["state"] == "closed"
    during = breaker_at(eve, 150)
    assert during["state"] == "forced_open"
    assert (during["override"]["by"], during["override"]["reason"]) == ("ann", "INC-1")
    assert breaker_at(eve, 50)["state"] == "closed"
    assert breaker_at(eve, 50)["override"] is None


@pytest.mark.parametrize(
    ("at", "why"), [("", "no time"), ("soon", "no time"), ("4000000000", "has not come yet")]
)
def test_a_moment_that_cannot_be_shown_is_refused(eve: Client, at: str, why: str) -> None:
    answer = eve.get("/api/v1/moment", {"at": at})
    assert answer.status_code == 400
    assert answer.json()["field"] == "at"
    assert why in answer.json()["message"]


def test_the_scrubber_knows_since_when_history_is_kept(eve: Client) -> None:
    assert eve.get("/api/v1/moments").json()["oldest"] is None
    absorb(time.time() - 300)
    assert eve.get("/api/v1/moments").json()["oldest"] == pytest.approx(time.time() - 300, abs=30)


def test_charts_are_marked_with_overrides_and_policies(eve: Client, operator: Person) -> None:
    override(200, 100)
    policies.note_declared({"shop": {"posts": {"timeout": 0.5}}})
    policies.save(operator, "shop", "posts", {"timeout": 0.25}, "too slow")
    marks = eve.get(f"{POSTS}/context").json()["markers"]
    assert [each["kind"] for each in marks] == ["policy", "override", "override"]
    assert marks[0]["text"].endswith("v1 by operator: too slow")
    assert marks[2]["text"] == "Forced open by ann: INC-1"
    assert eve.get("/api/v1/services/shop/markers").json()["markers"] == []


def test_a_changed_timeout_is_a_step_and_not_drawn_across_the_past(
    eve: Client, operator: Person
) -> None:
    policies.note_declared({"shop": {"posts": {"timeout": 0.5}}})
    now = time.time()
    for ago, fields in ((400, {"timeout": 0.25}), (200, {"timeout": 0.1}), (100, {})):
        saved = policies.save(operator, "shop", "posts", {"timeout": None, **fields})
        moment = timezone.now() - timedelta(seconds=ago)
        PolicyVersion.objects.filter(pk=saved.pk).update(created=moment)
    steps = value_steps("shop", "posts", "timeout", now - 300, now)
    assert [value for _, value in steps[:2]] == [0.25, 0.1]
    assert steps[0][0] == now - 300
    assert steps[1][0] == pytest.approx(now - 200, abs=5)
    answer = eve.get(f"{POSTS}/context", {"range": "5m"}).json()
    assert [ms for _, ms in answer["timeouts"]][:2] == [250, 100]
