"""History as JSON: ranges, what is refused, and who may ask."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.test import Client

from breakers.protocol import messages as wire
from dashboard.access.models import Person
from tests.dashboard.history.reports import absorb

pytestmark = pytest.mark.django_db
POSTS = "/api/v1/services/shop/breakers/posts"


@pytest.fixture
def eve(client: Client, viewer: Person) -> Client:
    client.force_login(viewer)
    return client


def ask(client: Client, path: str, **query: Any) -> Any:
    answer = client.get(path, query)
    assert answer.status_code == 200, answer.content
    assert answer["Cache-Control"] == "no-store"
    return answer.json()


@pytest.mark.parametrize("range", ["5m", "15m", "1h", "6h", "24h", "7d", "30d"])
def test_each_range_returns_its_history(eve: Client, range: str) -> None:
    absorb(time.time() - 60)
    series = ask(eve, f"{POSTS}/history", range=range)
    assert series["total"]["counts"]["success"] == 10
    columns = [series["t"], *series["counts"].values(), *series["latency"].values()]
    assert {len(column) for column in columns} == {len(series["heatmap"]["counts"])}
    assert len(series["t"]) <= 400


def test_a_range_may_be_named_by_its_times(eve: Client) -> None:
    now = time.time()
    absorb(now - 600)
    between = {"from": f"{now - 700:.0f}", "to": f"{now - 500:.0f}"}
    assert ask(eve, f"{POSTS}/history", **between)["total"]["calls"] == 12
    iso = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - 300))
    assert ask(eve, f"{POSTS}/history", **{"from": iso})["total"]["calls"] == 0
    assert ask(eve, f"{POSTS}/history", range="1h", step=120)["step_s"] == 120


def test_services_and_the_fleet_are_summed(eve: Client) -> None:
    absorb(time.time() - 60)
    absorb(time.time() - 60, breaker="users", service="web")
    assert ask(eve, "/api/v1/services/shop/history")["total"]["calls"] == 12
    assert ask(eve, "/api/v1/history")["total"]["calls"] == 24
    (row,) = ask(eve, "/api/v1/services/web/sums")["breakers"]
    assert (row["breaker"], row["calls"]) == ("users", 12)
    assert len(ask(eve, "/api/v1/sums")["breakers"]) == 2


def test_transitions_come_in_pages_and_strips_by_instance(eve: Client) -> None:
    trips = [wire.Transition(n, 30.0 - n, "closed", "open", f"trip {n}") for n in range(3)]
    absorb(time.time(), transitions=trips)
    page = ask(eve, "/api/v1/transitions", service="shop", state=["open"], limit=2)
    assert [each["cause"] for each in page["transitions"]] == ["trip 2", "trip 1"]
    rest = ask(eve, "/api/v1/transitions", after=page["next"])
    assert [each["cause"] for each in rest["transitions"]] == ["trip 0"]
    assert rest["next"] is None
    strips = ask(eve, f"{POSTS}/strips")["instances"]["one"]
    assert [each["state"] for each in strips] == ["closed", "open", "open", "open"]


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("history", {"range": "2w"}, "range"),
        ("history", {"from": "yesterday"}, "from"),
        ("history", {"from": "nan"}, "from"),
        ("history", {"from": "100", "to": "50"}, "to"),
        ("history", {"from": "1e300"}, "from"),
        ("history", {"step": "-1"}, "step"),
        ("history", {"step": "9" * 40}, "step"),
        ("transitions", {"limit": "501"}, "limit"),
        ("transitions", {"after": "x"}, "after"),
    ],
)
def test_an_invalid_parameter_is_named(
    eve: Client, path: str, query: dict[str, str], field: str
) -> None:
    answer = eve.get(f"/api/v1/{path}", query)
    assert answer.status_code == 400
    assert answer.json()["field"] == field
    assert answer.json()["code"] == "invalid"


@pytest.mark.parametrize("path", ["history", "sums", "transitions", "services/shop/history"])
def test_anonymous_users_are_redirected_to_login(client: Client, path: str) -> None:
    assert client.get(f"/api/v1/{path}").status_code == 302
