"""The forms behind the buttons, as a browser without scripts meets them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.access.models import AuditEntry, Person
from dashboard.control.models import Override
from dashboard.policies.models import BreakerPolicy

pytestmark = pytest.mark.usefixtures("static_files", "posts")
URL = "/services/shop/breakers/posts/force-open"
GOOD = {"reason": "posts is down", "expires_in": "900"}


@pytest.fixture
def posts(db: None) -> None:
    """The shop has reported a breaker named posts."""
    BreakerPolicy.objects.create(service="shop", breaker="posts", declared={"timeout": 0.5})


@pytest.fixture
def client(operator: Person) -> Client:
    client = Client()
    client.force_login(operator)
    return client


def test_an_operator_forces_a_breaker_open(client: Client) -> None:
    answer = client.post(URL, GOOD)
    assert answer.status_code == 302
    assert answer["Location"] == "/services/shop/breakers/posts"
    override = Override.objects.get()
    assert (override.state, override.by, override.reason) == (
        "forced_open",
        "operator",
        "posts is down",
    )
    left = override.expires - timezone.now()
    assert timedelta(seconds=890) < left <= timedelta(seconds=900)
    assert AuditEntry.objects.get().act == "forced_open"


def test_a_script_gets_204_and_stays_where_it_is(client: Client) -> None:
    answer = client.post(URL, GOOD, headers={"X-Requested-With": "fetch"})
    assert answer.status_code == 204


def test_a_script_gets_the_inside_of_a_dialog(client: Client) -> None:
    page = client.get(URL, headers={"X-Requested-With": "fetch"}).content.decode()
    assert "<form" in page
    assert "<html" not in page


def test_back_to_automatic_lifts_it(client: Client) -> None:
    client.post(URL, GOOD)
    client.post("/services/shop/breakers/posts/automatic", {"reason": "well again"})
    override = Override.objects.get()
    assert override.ended is not None
    assert override.ended_why == "well again"


@pytest.mark.parametrize(
    ("changed", "field", "says"),
    [
        ({"reason": ""}, "reason", "Say why"),
        ({"reason": "   "}, "reason", "Say why"),
        ({"reason": "x" * 501}, "reason", "500"),
        ({"expires_in": "7"}, "expires_in", "times offered"),
        ({"expires_in": ""}, "expires_in", "required"),
        ({"expires_in": "until"}, "until", "until when"),
        ({"expires_in": "until", "until": "yesterday"}, "until", "valid"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    client: Client, changed: dict[str, str], field: str, says: str
) -> None:
    answer = client.post(URL, {**GOOD, **changed})
    assert answer.status_code == 422
    assert says in str(answer.context["form"].errors[field])
    assert not Override.objects.exists()


@pytest.mark.parametrize(
    ("from_now", "says"),
    [(timedelta(minutes=-5), "in the past"), (timedelta(days=8), "At most 7 days")],
)
def test_an_end_in_the_past_or_too_far_is_refused_at_the_field(
    client: Client, from_now: timedelta, says: str
) -> None:
    until = (timezone.now() + from_now).strftime("%Y-%m-%dT%H:%M")
    answer = client.post(URL, {**GOOD, "expires_in": "until", "until": until})
    assert answer.status_code == 422
    assert says in str(answer.context["form"].errors["until"])
    assert not Override.objects.exists()


def test_an_end_within_a_week_is_taken(client: Client) -> None:
    until = (timezone.now() + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M")
    assert client.post(URL, {**GOOD, "expires_in": "until", "until": until}).status_code == 302


def test_a_viewer_may_not(viewer: Person) -> None:
    client = Client()
    client.force_login(viewer)
    assert client.get(URL).status_code == 403
    assert client.post(URL, GOOD).status_code == 403
    assert not Override.objects.exists()


def test_who_has_not_logged_in_is_sent_to_the_door() -> None:
    answer = Client().post(URL, GOOD)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/login?next=")


def test_a_forged_post_is_refused(operator: Person) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    assert client.post(URL, GOOD).status_code == 403


@pytest.mark.parametrize(
    "url",
    [
        "/services/shop/breakers/nobody/force-open",
        "/services/nobody/breakers/posts/force-open",
        "/services/shop/breakers/posts/explode",
        "/services/shop/breakers/nobody",
    ],
)
def test_what_is_not_there_is_not_found(client: Client, url: str) -> None:
    assert client.get(url).status_code == 404


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_not_taken(client: Client, method: str) -> None:
    send: Any = getattr(client, method)
    assert send(URL).status_code == 405
