"""Markers on charts, on the timeline, and as reasons of an incident."""

from __future__ import annotations

import time

import pytest
from django.test import Client

from dashboard.access.models import Person
from dashboard.access.people import grant_role, keep_team
from dashboard.alerts import services
from dashboard.alerts.first_cause import markers_before
from dashboard.alerts.models import Incident
from dashboard.policies import services as policies
from dashboard.timeline.event_text import said
from dashboard.timeline.events import KINDS, SHOWN_TO_ALL, Wanted, events
from tests.dashboard.alerts.test_incidents import POSTS, fire

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("static_files")]


def add(operator: Person, text: str, **more: object) -> None:
    services.add_marker(operator, text=text, **more)  # type: ignore[arg-type]


def test_a_chart_gets_the_markers_of_its_service_and_of_none(operator: Person) -> None:
    now = time.time()
    add(operator, "v124 goes out", service="shop", version="v124", at=now - 60)
    add(operator, "the network is changed", kind="config", at=now - 30)
    add(operator, "v7 goes out", service="ads", at=now - 30)
    add(operator, "long ago", service="shop", at=now - 7200)
    client = Client()
    client.force_login(operator)
    shown = client.get("/api/v1/services/shop/markers", {"range": "1h"})
    assert [each["text"] for each in shown.json()["markers"]] == [
        "the network is changed", "v124 goes out",
    ]  # fmt: skip
    assert client.get("/api/v1/services/shop/markers", {"range": "2y"}).status_code == 400


def test_markers_are_on_the_timeline_and_told_once(operator: Person) -> None:
    now = time.time()
    add(operator, "v124 goes out", service="shop", version="v124", at=now - 60)
    add(operator, "v7 goes out", service="ads", at=now - 30)
    of_shop = list(events(Wanted(since=now - 600, until=now + 5, service="shop")))
    assert [(each.kind, said(each)) for each in of_shop] == [("marker", "v124 goes out")]
    everything = Wanted(since=now - 600, until=now + 5)
    assert [said(each) for each in events(everything, oldest_first=True)] == [
        "v124 goes out", "v7 goes out",
    ]  # fmt: skip
    without = frozenset(KINDS) - {"marker"}
    assert [each.kind for each in events(Wanted(now - 600, now + 5, without))] == ["access"] * 2
    assert "marker" in SHOWN_TO_ALL


def test_a_policy_change_shortly_before_is_a_reason(operator: Person) -> None:
    policies.save(operator, "profile-api", "posts", {"timeout": 0.01})
    now = time.time() + 10
    (found,) = markers_before(now, 600)
    assert (found.service, found.text) == (
        "profile-api", "policy of profile-api/posts changed by operator (timeout)",
    )  # fmt: skip
    fire(POSTS, at=now)
    assert any("policy of profile-api/posts" in each for each in Incident.objects.get().why)


def test_an_operator_of_a_team_opens_the_incidents_of_its_services(
    operator: Person, client: Client, django_user_model: type[Person]
) -> None:
    team = keep_team(None, "profiles", ["profile-*"])
    member = django_user_model.objects.create(username="ada")
    root = django_user_model.objects.create_superuser("root")
    grant_role(root, member, team, "operator")
    now = time.time()
    fire(POSTS, at=now)
    fire(("shop", "ads"), at=now)
    own, other = (Incident.objects.get(service=name) for name in ("profile-api", "shop"))
    client.force_login(member)
    assert client.get(f"/incidents/{own.pk}").status_code == 200
    assert client.get(f"/incidents/{other.pk}").status_code == 404
    page = client.get("/incidents").content.decode()
    assert f"/incidents/{own.pk}" in page
    assert f"/incidents/{other.pk}" not in page
    assert client.post(f"/incidents/{own.pk}/acknowledge").status_code == 302
    assert client.post(f"/incidents/{other.pk}/acknowledge").status_code == 404
