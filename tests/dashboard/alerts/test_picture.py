"""The picture of an incident: well-formed, bounded, and every act with its time."""

from __future__ import annotations

import base64
import time
import xml.etree.ElementTree as ET
from datetime import UTC, datetime

import pytest
from django.test import Client

from dashboard.access.models import Person
from dashboard.alerts import picture as pictures
from dashboard.alerts import services
from dashboard.alerts.models import Firing, Incident, Rule
from dashboard.alerts.picture import picture
from dashboard.alerts.postmortem import postmortem
from tests import operator_actions
from tests.dashboard.alerts.test_incidents import POSTS, USERS, WEB, fire

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("static_files")]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def incident(operator: Person) -> Incident:
    now = time.time() - 60
    fire(POSTS, at=now)
    fire(USERS, WEB, at=now + 20)
    incident = Incident.objects.get()
    services.acknowledge(incident.pk, operator, now + 30)
    services.add_note(incident.pk, operator, "posts <b>is</b> slow & \x07 sick")
    operator_actions.force(operator, *POSTS, "forced_open", "INC-1", 600)
    return Incident.objects.get()


def words(svg: str) -> list[str]:
    return [each.text or "" for each in ET.fromstring(svg).iter(f"{SVG}text")]


def test_every_act_has_its_time_and_every_breaker_a_lane(incident: Incident) -> None:
    found = words(picture(incident, True))
    assert "profile-api/posts" in found
    assert "profile-api/users-db" in found
    at = f"{datetime.fromtimestamp(incident.acknowledged or 0, UTC):%H:%M:%S}"
    assert any(f"{at}  Acknowledged (operator)" in each for each in found)
    assert any("posts <b>is</b> slow &   sick (operator)" in each for each in found)
    assert any("Forced open: INC-1" in each for each in found)


def test_it_leaves_out_people_for_who_may_not_see_them(incident: Incident) -> None:
    assert "operator" not in picture(incident, False)


def test_a_flood_is_bounded(incident: Incident, operator: Person) -> None:
    rule = Rule.objects.get(name="Open")
    Firing.objects.bulk_create(
        Firing(rule=rule, incident=incident, service=f"s{n}", breaker="db", began=incident.began,
               fired=incident.began) for n in range(300)
    )  # fmt: skip
    for n in range(pictures.MAX_ACTIONS + 10):
        services.add_note(incident.pk, operator, f"note {n}")
    svg = picture(incident, True)
    assert len(svg) < 60_000
    assert any(each.startswith("and 28") and each.endswith("breakers") for each in words(svg))
    assert any(each.endswith("more actions") for each in words(svg))


def test_it_is_in_the_post_mortem_and_on_the_page(incident: Incident, operator: Person) -> None:
    line = next(each for each in postmortem(incident, True).splitlines() if "data:image" in each)
    body = base64.b64decode(line.partition("base64,")[2].rstrip(")"))
    assert "profile-api/posts" in words(body.decode())
    client = Client()
    client.force_login(operator)
    page = client.get(f"/incidents/{incident.pk}").content.decode()
    assert f'src="/incidents/{incident.pk}.svg"' in page
    answer = client.get(f"/incidents/{incident.pk}.svg")
    assert answer["Content-Type"] == "image/svg+xml"
    assert words(answer.content.decode())
