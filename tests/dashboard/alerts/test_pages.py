"""The pages of incidents and rules, and the card's JSON."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from dashboard.access.models import Person
from dashboard.alerts import outbox
from dashboard.alerts.models import Channel, Firing, Incident, Marker, OutboxMessage, Rule
from dashboard.history.models import Transition
from tests.dashboard.alerts.test_incidents import POSTS, USERS, WEB, fire

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("static_files")]


@pytest.fixture
def incident() -> Incident:
    now = time.time()
    fire(POSTS, at=now)
    fire(USERS, WEB, at=now + 50)
    return Incident.objects.get()


@pytest.fixture
def browser(operator: Person) -> Client:
    client = Client()
    client.force_login(operator)
    return client


def test_a_link_of_a_message_asks_to_log_in(client: Client, incident: Incident) -> None:
    path = outbox.link(incident).partition("8000")[2]
    answer = client.get(path)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/login?next=/incidents/")


def test_an_incident_is_acknowledged_assigned_noted_and_written_up(
    browser: Client, incident: Incident, operator: Person
) -> None:
    page = browser.get(f"/incidents/{incident.pk}").content.decode()
    assert "<h1>posts failing for profile-api" in page
    assert "profile-api/users-db" in page.partition('id="symptoms"')[2]
    base = f"/incidents/{incident.pk}"
    assert browser.post(f"{base}/acknowledge").status_code == 302
    assert browser.post(f"{base}/assign", {"assignee": "operator"}).status_code == 302
    assert browser.post(f"{base}/note", {"text": "posts is *slow*"}).status_code == 302
    assert browser.post(f"{base}/note", {"text": " "}).status_code == 422
    assert browser.post(f"{base}/resolve").status_code == 302
    incident.refresh_from_db()
    assert (incident.acknowledged_by, incident.assignee) == (operator, operator)
    text = browser.get(f"{base}.md").content.decode()
    assert text.startswith(f"# Incident {incident.pk}: posts failing for profile-api")
    assert "posts is \\*slow\\*" in text
    assert "Acknowledged by operator" in text


def test_an_incident_is_claimed_and_taken_over(
    browser: Client, incident: Incident, person: Callable[[str], Person]
) -> None:
    base = f"/incidents/{incident.pk}"
    assert ">Claim</button>" in browser.get(base).content.decode()
    browser.post(f"{base}/assign", {"assignee": "operator"})
    assert 'id="claim"' not in browser.get(base).content.decode(), "it is mine"
    other = Client()
    other.force_login(person("admin"))
    assert ">Take over from operator</button>" in other.get(base).content.decode()


def test_the_card_names_the_worst_incidents_and_channels_that_are_down(
    browser: Client, incident: Incident
) -> None:
    Channel.objects.create(name="pager", kind="webhook", url="http://x/", failing_since=1.0)
    shown = browser.get("/incidents/open.json").json()
    assert [each["id"] for each in shown["incidents"]] == [incident.pk]
    assert shown["channels"] == ["pager"]


def test_who_sees_no_service_of_it_sees_no_incident(
    django_user_model: type[Person], incident: Incident
) -> None:
    client = Client()
    client.force_login(django_user_model.objects.create(username="nobody"))
    assert client.get(f"/incidents/{incident.pk}").status_code == 403
    assert client.get("/incidents/open.json").status_code == 403


class TestRules:
    @pytest.fixture
    def admin(self, django_user_model: type[Person]) -> Client:
        client = Client()
        client.force_login(django_user_model.objects.create_superuser("root"))
        return client

    def form(self, **more: str) -> dict[str, str]:
        return {
            "name": "Half open", "kind": "open_share", "severity": "info", "for_s": "5",
            "enabled": "on", "open_share.share_pct": "50", "open_share.instances": "1", **more,
        }  # fmt: skip

    def test_a_preview_says_how_often_it_would_have_fired(self, admin: Client) -> None:
        now = time.time()
        for n, (ago, after) in enumerate([(900, "open"), (600, "closed"), (300, "open")]):
            Transition.objects.create(
                at=now - ago, key=n, service="shop", breaker="posts", instance="a", boot="b",
                number=n, before="closed", after=after, cause="",
            )  # fmt: skip
        page = admin.post("/alerts/new", self.form(preview="1")).content.decode()
        assert "Would have fired <b>2</b> times in the last 7 days" in page
        assert not Rule.objects.filter(name="Half open").exists()

    def test_a_rule_is_saved_and_changed(self, admin: Client) -> None:
        assert admin.post("/alerts/new", self.form()).status_code == 302
        rule = Rule.objects.get(name="Half open")
        assert rule.params == {"share_pct": 50.0, "instances": 1.0}
        changed = self.form(**{"open_share.share_pct": "75"})
        assert admin.post(f"/alerts/{rule.pk}", changed).status_code == 302
        rule.refresh_from_db()
        assert rule.params["share_pct"] == 75.0

    def test_what_could_never_fire_is_said_at_the_field(self, admin: Client) -> None:
        answer = admin.post("/alerts/new", self.form(**{"open_share.share_pct": "120"}))
        assert answer.status_code == 422
        assert "could never fire" in answer.content.decode()

    def test_an_operator_reads_rules_and_changes_none(self, browser: Client) -> None:
        assert browser.get("/alerts").status_code == 200
        assert browser.post("/alerts/new", self.form()).status_code == 403

    def test_a_test_message_is_queued(self, admin: Client) -> None:
        channel = Channel.objects.create(name="ops", kind="webhook", url="http://x/")
        assert admin.post(f"/alerts/channels/{channel.pk}/test").status_code == 302
        assert OutboxMessage.objects.get().kind == "test"


class TestMarkers:
    @pytest.fixture
    def api(self, operator: Person) -> Callable[..., Any]:
        from datetime import timedelta

        from django.utils import timezone

        from dashboard.access.personal_tokens import create_personal_token

        ends = timezone.now() + timedelta(days=1)
        _, raw = create_personal_token(operator, "ci", ["read", "operate"], ends)
        client = Client(HTTP_AUTHORIZATION=f"Bearer {raw}")
        return lambda path, body: client.post(
            f"/api/v1/markers{path}", body, content_type="application/json"
        )

    def test_a_marker_is_added_once(self, api: Callable[..., Any]) -> None:
        body = {"text": "v124 goes out", "service": "shop", "version": "v124", "key": "run-7"}
        assert [api("", body).status_code for _ in range(2)] == [201, 200]
        assert Marker.objects.get().by == "operator"

    def test_a_wrong_marker_names_its_field(self, api: Callable[..., Any]) -> None:
        answer = api("", {"text": "x", "kind": "party"})
        assert answer.status_code == 422
        assert "kind" in answer.content.decode()

    def test_webhooks_of_github_and_gitlab(self, api: Callable[..., Any]) -> None:
        deployment = {"repository": {"name": "shop"}, "deployment": {"id": 1, "ref": "v124"}}
        assert api("/github", deployment).status_code == 201
        assert api("/github", deployment).status_code == 200
        assert api("/github", {"zen": "ping"}).status_code == 202
        gitlab = {"object_kind": "deployment", "status": "success", "deployment_id": 5,
                  "project": {"name": "shop"}, "ref": "main"}  # fmt: skip
        assert api("/gitlab", gitlab).status_code == 201
        assert {row.text for row in Marker.objects.all()} == {
            "deploy of shop v124", "deploy of shop main",
        }  # fmt: skip


def test_firings_of_an_incident_are_kept(incident: Incident) -> None:
    assert Firing.objects.filter(incident=incident).count() == 3
