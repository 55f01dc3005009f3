"""Silences: added, ended early, and listed for those who may see them."""

from __future__ import annotations

import time

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client

from dashboard.access.models import AuditEntry, Person
from dashboard.access.people import grant_role, keep_team
from dashboard.alerts import outbox, silences
from dashboard.alerts.models import Incident, Silence
from tests.dashboard.alerts.test_incidents import POSTS, fire

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("static_files")]


@pytest.fixture
def browser(operator: Person) -> Client:
    client = Client()
    client.force_login(operator)
    return client


def test_a_silence_is_added_on_the_page_and_ended_early(browser: Client) -> None:
    form = {"service": "profile-*", "minutes": "60", "reason": "migration"}
    assert browser.post("/silences", form).status_code == 302
    silence = Silence.objects.get()
    assert 3590 < silence.ends - silence.starts < 3610
    now = time.time()
    fire(POSTS, at=now)
    assert outbox.is_silenced(Incident.objects.get(), now + 1)
    assert "profile-*/*" in browser.get("/silences").content.decode()
    assert browser.post(f"/silences/{silence.pk}/end").status_code == 302
    assert not outbox.is_silenced(Incident.objects.get(), time.time() + 1)
    acts = list(AuditEntry.objects.order_by("number").values_list("act", flat=True))
    assert acts[-2:] == ["silence added", "silence ended"]
    assert browser.post("/silences/999/end").status_code == 404


def test_what_is_wrong_is_said_at_the_field(browser: Client) -> None:
    answer = browser.post("/silences", {"minutes": "7", "reason": ""})
    assert answer.status_code == 422
    assert answer.content.decode().count('class="field wrong"') == 2
    assert not Silence.objects.exists()


def test_an_end_too_near_or_too_far_is_refused(operator: Person) -> None:
    now = time.time()
    for ends in (now - 1, now + 30, now + 31 * 86_400):
        with pytest.raises(ValidationError) as caught:
            silences.add_silence(operator, "shop", "", "x", ends=ends, now=now)
        assert list(caught.value.message_dict) == ["ends"]


def test_a_member_of_a_team_silences_only_its_services(
    django_user_model: type[Person], operator: Person
) -> None:
    team = keep_team(None, "shops", ["shop"])
    member = django_user_model.objects.create(username="ada")
    root = django_user_model.objects.create_superuser("root")
    grant_role(root, member, team, "operator")
    ends = time.time() + 3600
    own = silences.add_silence(member, "shop", "", "x", ends=ends)
    fleet = silences.add_silence(operator, "", "", "everything", ends=ends)
    for service in ("", "*", "ads", "sho*"):
        with pytest.raises(PermissionDenied):
            silences.add_silence(member, service, "", "x", ends=ends)
    with pytest.raises(PermissionDenied):
        silences.end_silence(member, fleet.pk)
    client = Client()
    client.force_login(member)
    page = client.get("/silences").content.decode()
    assert "shop/*" in page
    assert "everything" not in page
    assert client.post(f"/silences/{own.pk}/end").status_code == 302


def test_an_operator_sets_the_severity_of_an_incident(browser: Client) -> None:
    fire(POSTS, at=time.time())
    pk = Incident.objects.get().pk
    assert browser.post(f"/incidents/{pk}/severity", {"severity": "info"}).status_code == 302
    assert Incident.objects.get().severity == "info"
    assert "Severity critical → info" in browser.get(f"/incidents/{pk}").content.decode()
    assert browser.post(f"/incidents/{pk}/severity", {"severity": "dire"}).status_code == 422
