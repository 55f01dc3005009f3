"""Drills and limits to a share, through the API and from the command line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result
from django.core.cache import cache
from django.utils import timezone

from breakers.cli import application as application_module
from breakers.cli import main, profiles
from breakers.cli.client import Client as ApiClient
from breakers.protocol import messages as wire
from dashboard.access.models import Person
from dashboard.access.personal_tokens import SCOPES, create_personal_token
from dashboard.control.models import Drill, DrillRun, Override
from dashboard.control.services import record_acks
from tests.dashboard.api.operators.conftest import Api
from tests.dashboard.policies.test_as_code import InProcess
from tests.dashboard.web.showing import showing

ApiOf = Callable[..., Api]
pytestmark = pytest.mark.django_db
BODY = {"service": "shop", "breaker": "posts", "kind": "error", "share": 0.5, "seconds": 60}


@pytest.fixture
def run(operator: Person, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command line, as the operator."""
    cache.clear()
    expires = timezone.now() + timedelta(days=1)
    _, raw = create_personal_token(operator, "ci", tuple(SCOPES), expires)
    monkeypatch.setattr(profiles, "load", lambda name: profiles.Profile("http://testserver", raw))
    monkeypatch.setattr(application_module, "Client", lambda chosen: ApiClient(chosen, InProcess()))
    return lambda *arguments: CliRunner().invoke(main, list(arguments))


def test_a_drill_is_saved_run_read_and_stopped(api_of: ApiOf, operator: Person) -> None:
    api = api_of(operator)
    assert api("PUT", "/drills/half", BODY).status_code == 200
    assert [each["name"] for each in api("GET", "/drills").json()] == ["half"]
    made = api("POST", "/drills/half/run", {"reason": "game day"})
    assert made.status_code == 201, made.content
    id = made.json()["id"]
    item = wire.AckItem("fault", "posts", "refused", id, "not allowed")
    record_acks([("shop", wire.Ack("shop", "web-1", 1, [item]))])
    found = api("GET", f"/drills/runs/{id}").json()
    assert found["refused"] == [{"instance": "web-1", "reason": "not allowed"}]
    assert (found["obeyed"], found["tripped"], found["seen"]) == ([], [], [])
    assert api("POST", f"/drills/runs/{id}/stop", {}).status_code == 204
    assert api("POST", f"/drills/runs/{id}/stop", {}).status_code == 404
    assert api("DELETE", "/drills/half").status_code == 204
    assert api("GET", f"/drills/runs/{id}").status_code == 200


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"kind": "fire"}, "kind"), ({"share": 2}, "share"), ({"seconds": 1e308}, "seconds")],
)
def test_a_bad_drill_is_refused_by_field(
    api_of: ApiOf, operator: Person, wrong: dict[str, Any], field: str
) -> None:
    answer = api_of(operator)("PUT", "/drills/half", BODY | wrong)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]


def test_a_viewer_reads_and_runs_nothing(api_of: ApiOf, operator: Person, viewer: Person) -> None:
    api_of(operator)("PUT", "/drills/half", BODY)
    api = api_of(viewer, "read")
    assert len(api("GET", "/drills").json()) == 1
    assert api("POST", "/drills/half/run", {"reason": "me"}).status_code == 403
    assert api("PUT", "/drills/half", BODY).status_code == 403


def test_the_command_line_saves_runs_reports_and_deletes(run: Callable[..., Result]) -> None:
    saved = run(
        *("drill", "save", "slow", "shop/posts", "--kind", "latency"),
        *("--latency", "2", "--share", "30", "--for", "5m", "--instance", "web-1"),
    )
    assert (saved.exit_code, saved.output) == (0, "Saved slow.\n")
    row = Drill.objects.get()
    assert (row.share, row.latency_s, row.seconds, row.instances) == (0.3, 2.0, 300.0, ["web-1"])
    assert "shop/posts" in run("drill", "list").output
    assert "slow runs until" in run("drill", "run", "slow", "--reason", "game day").output
    id = DrillRun.objects.get().pk
    assert "Obeyed by 0" in run("drill", "report", id).output
    assert run("drill", "stop", id).output == "Stopped.\n"
    assert run("drill", "delete", "slow").output == "Deleted.\n"
    assert run("drill", "run", "slow", "--reason", "again").exit_code != 0


def test_the_command_line_drills_the_kill_path(run: Callable[..., Result]) -> None:
    with showing() as show:
        show("shop", wire.BreakerReport("posts", "closed"))
        assert run("drill", "kill-path", "shop").exit_code != 0
        assert "Monitor only on posts" in run("drill", "kill-path", "shop", "--now").output
        override = Override.objects.get()
        item = wire.AckItem("override", "posts", "applied", override.pk)
        record_acks([("shop", wire.Ack("shop", "one", 1, [item]))])
        assert "1 of 1 obeyed (posts)" in run("drill", "kill-path", "shop").output


def test_the_command_line_limits_a_breaker_to_a_share(run: Callable[..., Result]) -> None:
    with showing() as show:
        show("shop", wire.BreakerReport("posts", "closed"))
        done = run(
            "partial", "shop/posts", "--share", "5", "--reason", "cold", "-y", "--wait", "1s"
        )
        assert "shop/posts: forced partial" in done.output
        row = Override.objects.get()
        assert (row.state, row.share) == ("forced_partial", 0.05)
        assert run("partial", "shop/posts", "--share", "0", "--reason", "x", "-y").exit_code == 2
