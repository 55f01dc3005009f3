"""Recordings through the API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from click.testing import CliRunner, Result
from django.utils import timezone

from breakers.cli import application as application_module
from breakers.cli import main, profiles
from breakers.cli.client import Client as ApiClient
from dashboard.access.models import AuditEntry, Person
from dashboard.access.personal_tokens import SCOPES, create_personal_token
from dashboard.control.models import RecordingOrder
from tests.dashboard.api.operators.conftest import Api
from tests.dashboard.policies.test_as_code import InProcess
from tests.dashboard.web.test_recorded import trip

ApiOf = Callable[..., Api]
pytestmark = pytest.mark.django_db


def test_a_recording_is_ordered_listed_and_stopped(api_of: ApiOf, operator: Person) -> None:
    api = api_of(operator)
    made = api("POST", "/recording-orders", {"service": "shop", "breaker": "posts", "seconds": 60})
    assert made.status_code == 201, made.content
    (told,) = api("GET", "/recording-orders?service=shop").json()
    assert told["id"] == made.json()["id"]
    assert api("POST", f"/recording-orders/shop/{told['id']}/stop", {}).status_code == 204
    assert api("POST", f"/recording-orders/shop/{told['id']}/stop", {}).status_code == 404
    assert api("GET", "/recording-orders?service=shop").json() == []
    acts = list(AuditEntry.objects.order_by("pk").values_list("act", flat=True))
    assert acts[-2:] == ["recording", "recording stopped"]


@pytest.mark.parametrize("seconds", [-1, 0, 601, 1e308])
def test_a_bad_duration_is_refused_by_field(
    api_of: ApiOf, operator: Person, seconds: float
) -> None:
    body = {"service": "shop", "breaker": "posts", "seconds": seconds}
    answer = api_of(operator)("POST", "/recording-orders", body)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == ["seconds"]
    assert not RecordingOrder.objects.exists()


def test_a_viewer_reads_trips_and_orders_nothing(api_of: ApiOf, viewer: Person) -> None:
    trip()
    api = api_of(viewer, "read")
    (found,) = api("GET", "/recording-orders/trips?service=shop&breaker=posts").json()
    assert [each["outcome"] for each in found["calls"]] == [
        "success",
        "success",
        "failure",
        "timeout",
    ]
    assert found["calls"][-1]["attempt"] == 2
    body = {"service": "shop", "breaker": "posts"}
    assert api("POST", "/recording-orders", body).status_code == 403


def test_the_command_line_records_a_breaker_and_stops(
    operator: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, raw = create_personal_token(
        operator, "ci", tuple(SCOPES), timezone.now() + timedelta(days=1)
    )
    monkeypatch.setattr(profiles, "load", lambda name: profiles.Profile("http://testserver", raw))
    monkeypatch.setattr(application_module, "Client", lambda chosen: ApiClient(chosen, InProcess()))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["record", *arguments])

    done = run("shop/posts", "--for", "1m")
    assert (done.exit_code, done.output[:32]) == (0, "shop/posts is recorded until 202"), (
        done.output
    )
    assert RecordingOrder.objects.get().by == operator.get_username()
    assert run("shop/posts", "--for", "11m").exit_code == 6
    assert run("shop/posts", "--stop").output == "shop/posts is no longer recorded\n"
    assert run("shop/posts", "--stop").exit_code == 1
