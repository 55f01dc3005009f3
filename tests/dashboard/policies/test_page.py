"""The editor page: saves, keeps what two people typed, rolls back, rolls out."""

from __future__ import annotations

import pytest
from django.test import Client

from dashboard.access.models import Person
from dashboard.policies import queries, services
from dashboard.policies.models import Replay, Rollout

pytestmark = [pytest.mark.usefixtures("static_files"), pytest.mark.django_db]
PAGE = "/services/shop/breakers/posts/policy"


@pytest.fixture
def client(operator: Person) -> Client:
    services.note_declared({"shop": {"posts": {"timeout": 0.5}}})
    client = Client()
    client.force_login(operator)
    return client


def test_it_shows_value_origin_and_range(client: Client) -> None:
    page = client.get(PAGE).content.decode()
    assert "in force 500 ms from code" in page
    assert "a duration from 1 ms to 1 h, or off" in page


def test_it_saves_a_version(client: Client) -> None:
    posted = {"timeout": "250 ms", "failure_threshold": "off", "reason": "faster", "base": "0"}
    assert client.post(PAGE, posted).status_code == 302
    head = queries.head("shop", "posts")
    assert head is not None
    assert head.fields == {"timeout": 0.25, "failure_threshold": None}
    page = client.get(PAGE).content.decode()
    assert "timeout inherited → 250 ms" in page


def test_a_refusal_stands_at_its_field_and_keeps_what_was_typed(client: Client) -> None:
    answer = client.post(PAGE, {"timeout": "2 parsecs", "retries": "3", "base": "0"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "2 parsecs is not allowed: it must be a duration from 1 ms to 1 h" in page
    assert 'value="2 parsecs"' in page
    assert queries.head("shop", "posts").number == 0  # type: ignore[union-attr]


def test_an_older_form_keeps_both_changes(client: Client, operator: Person) -> None:
    services.save(operator, "shop", "posts", {"retries": 1}, "less load")
    answer = client.post(PAGE, {"timeout": "300 ms", "base": "0"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "operator changed retries (less load)" in page
    assert 'value="300 ms"' in page
    assert 'name="base" value="1"' in page
    again = {"timeout": "300 ms", "retries": "1", "base": "1"}
    assert client.post(PAGE, again).status_code == 302
    assert queries.head("shop", "posts").fields == {"timeout": 0.3, "retries": 1}  # type: ignore[union-attr]


def test_one_click_rolls_back(client: Client, operator: Person) -> None:
    first = services.save(operator, "shop", "posts", {"retries": 1})
    services.save(operator, "shop", "posts", {"retries": 2})
    assert client.post(f"/policies/versions/{first.pk}/restore").status_code == 302
    assert queries.head("shop", "posts").fields == {"retries": 1}  # type: ignore[union-attr]


def test_one_click_lets_everything_be_inherited_again(client: Client, operator: Person) -> None:
    assert "Roll back to 0" not in client.get(PAGE).content.decode()
    services.save(operator, "shop", "posts", {"retries": 1})
    assert "Roll back to 0" in client.get(PAGE).content.decode()
    posted = {"base": "1", "reason": "back to version 0", "action": "save"}
    assert client.post(PAGE, posted).status_code == 302
    assert queries.head("shop", "posts").fields == {}  # type: ignore[union-attr]


def test_an_older_page_rolls_nothing_back_that_it_has_not_shown(
    client: Client, operator: Person
) -> None:
    first = services.save(operator, "shop", "posts", {"retries": 1})
    services.save(operator, "shop", "posts", {"retries": 2})
    assert 'name="base" value="2"' in client.get(PAGE).content.decode()
    services.save(operator, "shop", "posts", {"retries": 3}, "load is down")
    answer = client.post(f"/policies/versions/{first.pk}/restore", {"base": "2"})
    assert answer.status_code == 422
    assert "operator changed retries (load is down)" in answer.content.decode()
    assert queries.head("shop", "posts").fields == {"retries": 3}  # type: ignore[union-attr]
    bank = services.save(operator, "bank", "ledger", {"retries": 9}).policy
    answer = client.post(f"{PAGE}/copy", {"source": bank.pk, "base": "2"})
    assert (answer.status_code, b"load is down" in answer.content) == (422, True)


def test_it_starts_and_stops_a_rollout(client: Client) -> None:
    posted = {"timeout": "100 ms", "action": "rollout", "versions": "v124", "zones": "eu, us"}
    assert client.post(PAGE, posted).status_code == 302
    made = Rollout.objects.get()
    assert made.selector == {"zones": ["eu", "us"], "versions": ["v124"]}
    assert "Take back" in client.get(PAGE).content.decode()
    assert client.post(f"/policies/rollouts/{made.pk}/stop").status_code == 302
    assert Rollout.objects.get().state == Rollout.STOPPED


def test_it_queues_a_what_if(client: Client) -> None:
    answer = client.post(f"{PAGE}/what-if", {"timeout": "100 ms", "seconds": "3600"})
    assert answer.status_code == 202
    asked = client.get(answer.json()["url"]).json()
    assert asked["state"] == Replay.QUEUED
    assert client.post(answer.json()["url"]).json()["state"] == Replay.CANCELLED
    bad = client.post(f"{PAGE}/what-if", {"timeout": "-1"})
    assert (bad.status_code, list(bad.json()["errors"])) == (422, ["timeout"])


@pytest.mark.parametrize("path", ["/policies", "/services/shop/policy", PAGE])
def test_a_viewer_reads_and_may_not_save(client: Client, viewer: Person, path: str) -> None:
    client.force_login(viewer)
    assert client.get(path).status_code == 200
    assert client.post(path, {"timeout": "1 s"}).status_code == 403


def test_the_histogram_of_a_bad_range_is_refused(client: Client) -> None:
    assert client.get(f"{PAGE}/latency?seconds=nan").status_code == 400
    assert client.get(f"{PAGE}/latency?seconds=60").json()["counts"] == []
