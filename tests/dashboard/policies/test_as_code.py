"""`switchgear policies`: export, plan and apply through the API, as the command line does."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from breakers.cli import application as application_module
from breakers.cli import main, profiles
from breakers.cli.client import Client as ApiClient
from dashboard.access.models import Person
from dashboard.access.personal_tokens import SCOPES, create_personal_token
from dashboard.fleet.services import revision
from dashboard.history.models import Rollup
from dashboard.policies import queries, services
from dashboard.policies.models import PolicyVersion
from dashboard.policies.whatif import runs

pytestmark = pytest.mark.django_db


class InProcess(httpx.BaseTransport):
    """Hands the requests of the command line to Django."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        kept = ("authorization", "idempotency-key", "accept")
        answer = Client().generic(
            request.method,
            request.url.raw_path.decode(),
            data=request.read(),
            content_type="application/json",
            headers={name: value for name, value in request.headers.items() if name in kept},
        )
        return httpx.Response(
            answer.status_code, headers=dict(answer.items()), content=answer.content
        )


@pytest.fixture
def cli(operator: Person, monkeypatch: pytest.MonkeyPatch) -> Any:
    cache.clear()
    expires = timezone.now() + timedelta(days=1)
    _, raw = create_personal_token(operator, "ci", tuple(SCOPES), expires)
    profile = profiles.Profile("http://testserver", raw)
    monkeypatch.setattr(profiles, "load", lambda name: profile)
    monkeypatch.setattr(application_module, "Client", lambda chosen: ApiClient(chosen, InProcess()))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["policies", *arguments])

    services.note_declared({"shop": {"posts": {}, "ads": {}}})
    services.save(operator, "", "", {"retry_jitter": 0.5})
    services.save(operator, "shop", "posts", {"timeout": 0.25, "failure_threshold": None})
    return run


def exported(cli: Any, tmp_path: Path) -> Path:
    file = tmp_path / "policies.yaml"
    assert cli("export", str(file)).exit_code == 0
    return file


def test_a_plan_of_an_export_has_no_changes(cli: Any, tmp_path: Path) -> None:
    file = exported(cli, tmp_path)
    assert "timeout: 250 ms" in file.read_text()
    planned = cli("plan", str(file))
    assert (planned.exit_code, planned.output) == (0, "no changes\n")


def test_after_an_edit_on_the_page_exactly_that_field(
    cli: Any, tmp_path: Path, operator: Person
) -> None:
    file = exported(cli, tmp_path)
    services.save(operator, "shop", "posts", {"timeout": 0.5, "failure_threshold": None})
    assert cli("plan", str(file)).output == "shop/posts: timeout 500 ms → 250 ms\n"
    services.save(operator, "shop", "ads", {"retries": 2})
    assert "shop/ads: retries 2 → inherited" in cli("plan", str(file)).output


def test_apply_is_one_revision_and_twice_is_once(cli: Any, tmp_path: Path) -> None:
    file = exported(cli, tmp_path)
    file.write_text(file.read_text().replace("250 ms", "300 ms"))
    before = revision("shop")
    assert cli("apply", str(file), "--reason", "INC-1").exit_code == 0
    assert queries.head("shop", "posts").fields["timeout"] == 0.3  # type: ignore[union-attr]
    assert revision("shop") == before + 1
    versions = PolicyVersion.objects.count()
    again = cli("apply", str(file))
    assert (again.exit_code, again.output) == (0, "no changes\n")
    assert PolicyVersion.objects.count() == versions


def test_comments_and_order_are_kept(cli: Any, tmp_path: Path, operator: Person) -> None:
    file = exported(cli, tmp_path)
    file.write_text("# ours\n" + file.read_text().replace("250 ms", "250 ms  # INC-7"))
    services.save(operator, "shop", "posts", {"timeout": 0.25, "retries": 2})
    assert cli("export", str(file)).exit_code == 0
    text = file.read_text()
    assert text.startswith("# ours\n")
    assert "250 ms  # INC-7" in text
    assert "retries: '2'" in text or "retries: 2" in text
    assert cli("plan", str(file)).output == "no changes\n"


def test_a_saved_incident_that_goes_worse_is_exit_status_2(
    cli: Any, tmp_path: Path, operator: Person
) -> None:
    begin = time.time() // 10 * 10 - 1200
    Rollup.objects.bulk_create(
        Rollup(
            service="shop", breaker="ads", start=int(begin + 10 * n), failure=100, sketch=[-30, 100]
        )
        for n in range(60)
    )
    runs.save_incident(operator, "ads down", "shop", "ads", begin, begin + 600)
    file = exported(cli, tmp_path)
    file.write_text(_with_ads(file.read_text()))
    planned = cli("plan", str(file))
    assert planned.exit_code == 2
    assert "worse: ads down: 6,000 calls fail or are lost" in planned.output
    assert cli("apply", str(file)).exit_code == 2
    assert queries.head("shop", "ads").fields == {}  # type: ignore[union-attr]
    assert cli("apply", str(file), "--accept-worse").exit_code == 0
    assert queries.head("shop", "ads").fields == {"failure_threshold": None}  # type: ignore[union-attr]


def _with_ads(text: str) -> str:
    return text.replace(
        "    breakers:\n", "    breakers:\n      ads:\n        failure_threshold: off\n"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services:\n  shop:\n    breakers:\n      nobody:\n        retries: 1\n", "nobody"),
        ("services:\n  shop:\n    breakers:\n      posts:\n        colour: red\n", "colour"),
        ("fleet:\n  timeout: 1e999 s\n", "fleet.timeout"),
        ("breakers: {}\n", "breakers: There is no such key"),
        ("fleet: [1, 2]\n", "fleet: It must be a mapping"),
        ("- 1\n", "must be a mapping"),
        ("a: &a [x]\nb: [*a, *a]\n", "aliases"),
        ("fleet: {timeout: ", "is not YAML"),
        ("fleet: " + "[" * 900_000, "nested more than 20 levels"),
        ("".join(f"{' ' * n}a:\n" for n in range(30)), "nested more than 20 levels"),
        ("fleet:\n  timeout: 1 s\n  timeout: 2 s\n", "is not YAML"),
        ("fleet:\n  timeout: [1, 2]\n", "fleet.timeout"),
        ("fleet:\n  retries: 9999999999999999999999\n", "fleet.retries"),
    ],
)
def test_a_bad_file_is_refused_with_its_path_and_nothing_changes(
    cli: Any, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    before = PolicyVersion.objects.count()
    for command in ("plan", "apply"):
        done = cli(command, str(file))
        assert done.exit_code != 0
        assert said in done.output + done.stderr
    assert PolicyVersion.objects.count() == before


def test_lint_is_an_exit_status(cli: Any) -> None:
    done = cli("lint")
    assert (done.exit_code, done.output) == (0, "no findings\n")


def test_a_plan_as_json_is_for_scripts(cli: Any, tmp_path: Path) -> None:
    file = exported(cli, tmp_path)
    done = CliRunner().invoke(main, ["--json", "policies", "plan", str(file)])
    assert json.loads(done.output)["changes"] == []
