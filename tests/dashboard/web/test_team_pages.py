"""What a person with a role on some services sees: these, and nothing of the others."""

from __future__ import annotations

import time

import pytest
from django.test import Client

from breakers.protocol import messages as wire
from dashboard.access.models import Person
from dashboard.access.people import grant_role, keep_team
from dashboard.control import drills
from dashboard.control.models import Drill
from dashboard.history.models import Outage
from dashboard.policies import services as policies
from dashboard.policies.models import PolicyVersion
from tests.dashboard.web.showing import showing

pytestmark = pytest.mark.usefixtures("static_files", "db")


@pytest.fixture
def root(django_user_model: type[Person]) -> Person:
    return django_user_model.objects.create_superuser("root")


def member(root: Person, role: str) -> Client:
    """Of a person who has a role on the service shop alone."""
    person = Person.objects.create(username=role.replace(" ", "-"))
    grant_role(root, person, keep_team(None, "shops", ["shop"]), role)
    client = Client()
    client.force_login(person)
    return client


@pytest.fixture
def client(root: Person) -> Client:
    return member(root, "operator")


@pytest.mark.parametrize("path", ["/", "/tv", "/map", "/api/v1/fleet", "/policies/overview"])
def test_pages_of_many_services_show_those_that_the_person_sees(client: Client, path: str) -> None:
    with showing() as show:
        show("shop", wire.BreakerReport("posts", "closed"))
        show("bank", wire.BreakerReport("ledger", "open"))
        answer = client.get(path)
    assert answer.status_code == 200
    page = answer.content.decode()
    assert "posts" in page
    assert "ledger" not in page


def test_moments_show_the_services_that_the_person_sees(client: Client) -> None:
    now = time.time()
    for number, (service, breaker) in enumerate((("shop", "posts"), ("bank", "ledger"))):
        Outage.objects.create(
            id=str(number), service=service, breaker=breaker, began=now - 60, cause="failures"
        )
    with showing() as show:
        show("shop", wire.BreakerReport("posts", "open"))
        show("bank", wire.BreakerReport("ledger", "open"))
        then = client.get(f"/api/v1/moment?at={now - 30}").content.decode()
        strip = client.get("/api/v1/moments").content.decode()
    for answer in (then, strip):
        assert "ledger" not in answer
    assert "posts" in then


def test_drills_of_its_services_are_run(client: Client, root: Person) -> None:
    for service in ("shop", "bank"):
        drills.save(root, f"slow {service}", service, "posts", "error")
    page = client.get("/drills").content.decode()
    assert "slow shop" in page
    assert "slow bank" not in page
    own, other = (Drill.objects.get(service=each) for each in ("shop", "bank"))
    assert client.post(f"/drills/{own.pk}/run", {"reason": "x"}).status_code == 302
    assert client.post(f"/drills/{other.pk}/run", {"reason": "x"}).status_code == 404


def test_policies_of_its_services_are_rolled_back(root: Person) -> None:
    client = member(root, "policy editor")
    for service in ("shop", "bank"):
        for timeout in (0.5, 0.4):
            policies.save(root, service, "posts", {"timeout": timeout}, reason="x")
    own, other = (
        PolicyVersion.objects.filter(policy__service=each).order_by("number")[0]
        for each in ("shop", "bank")
    )
    assert client.post(f"/policies/versions/{own.pk}/restore").status_code == 302
    assert client.post(f"/policies/versions/{other.pk}/restore").status_code in (403, 404)
    assert PolicyVersion.objects.filter(policy__service="bank").count() == 2
    assert PolicyVersion.objects.filter(policy__service="shop").count() == 3


@pytest.mark.parametrize("path", ["/timeline", "/policies", "/api/v1/transitions"])
def test_what_cannot_be_told_apart_is_refused_with_the_reason(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 403
    assert "your roles are on some services: shop" in answer.content.decode()
