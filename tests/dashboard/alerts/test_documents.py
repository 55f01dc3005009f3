"""`switchgear alerts`: rules, routes and silences as code, through the API as the CLI calls it."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from django.core.cache import cache
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from breakers.cli import application as application_module
from breakers.cli import main, profiles
from breakers.cli.client import Client as ApiClient
from dashboard.access.models import AuditEntry, Person, Team, TeamService
from dashboard.access.personal_tokens import SCOPES, create_personal_token
from dashboard.alerts import documents, silences
from dashboard.alerts.models import Channel, Route, Rule, Silence
from dashboard.history.models import Transition
from tests.dashboard.policies.test_as_code import InProcess

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(django_user_model: type[Person]) -> Person:
    return django_user_model.objects.create_superuser("root")


@pytest.fixture
def cli(admin: Person, monkeypatch: pytest.MonkeyPatch) -> Any:
    cache.clear()
    expires = timezone.now() + timedelta(days=1)
    _, raw = create_personal_token(admin, "ci", tuple(SCOPES), expires)
    profile = profiles.Profile("http://testserver", raw)
    monkeypatch.setattr(profiles, "load", lambda name: profile)
    monkeypatch.setattr(application_module, "Client", lambda chosen: ApiClient(chosen, InProcess()))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["alerts", *arguments])

    team = Team.objects.create(name="payments")
    TeamService.objects.create(team=team, service="shop*")
    pager = Channel.objects.create(name="pager", kind="webhook", url="http://x/", secret="s3cret")
    Route.objects.create(name="night", channel=pager, team=team, quiet_from=22, quiet_to=7)
    silences.add_silence(admin, "shop", "posts", "a migration", ends=time.time() + 3600)
    return run


@pytest.fixture
def file(cli: Any, tmp_path: Path) -> Path:
    file = tmp_path / "alerts.yaml"
    assert cli("export", str(file)).exit_code == 0
    return file


def edit(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert text.count(before) >= 1
    file.write_text(text.replace(before, after, 1))


def test_a_plan_of_an_export_has_no_changes_and_no_secrets(cli: Any, file: Path) -> None:
    text = file.read_text()
    assert "quiet_from: 22" in text
    assert "a migration" in text
    assert "s3cret" not in text
    assert "http://x/" not in text
    planned = cli("plan", str(file))
    assert (planned.exit_code, planned.output) == (0, "no changes\n")
    applied = cli("apply", str(file))
    assert (applied.exit_code, applied.output) == (0, "no changes\n")
    assert not AuditEntry.objects.filter(act="alerts applied").exists()


def test_what_differs_is_planned_by_path_and_applied(cli: Any, file: Path) -> None:
    now = time.time()
    for n, after in enumerate(["open", "closed"]):
        Transition.objects.create(
            at=now - 600 + 60 * n, key=n, service="shop", breaker="posts", instance="a", boot="b",
            number=n, before="closed", after=after, cause="",
        )  # fmt: skip
    edit(file, "share_pct: 25", "share_pct: 50")
    edit(file, "quiet_from: 22", "quiet_from: 23")
    edit(
        file,
        "  Flapping:\n",
        "  Ads open:\n    kind: open_share\n    team: payments\n  Flapping:\n",
    )
    planned = cli("plan", str(file))
    assert planned.exit_code == 0, planned.output
    assert planned.output.splitlines() == [
        "rules.Ads open: none → kind open_share, severity warning, for_s 3, team payments, params "
        "instances 1, share_pct 25",
        "rules.Open.params: instances 1, share_pct 25 → instances 1, share_pct 50",
        "routes.night.quiet_from: 22 → 23",
        "Ads open: would have fired 1 time in the last 7 days",
        "Open: would have fired 1 time in the last 7 days",
    ]
    known = Rule.objects.get(name="Open").pk
    assert cli("apply", str(file), "--reason", "quieter").exit_code == 0
    assert Rule.objects.get(name="Open").params["share_pct"] == 50
    assert Rule.objects.get(name="Open").pk == known
    assert Rule.objects.get(name="Ads open").team is not None
    assert Route.objects.get().quiet_from == 23
    assert AuditEntry.objects.get(act="alerts applied").reason == "quieter"
    assert cli("plan", str(file)).output == "no changes\n"


def test_what_a_section_does_not_name_is_removed(cli: Any, admin: Person) -> None:
    found = documents.apply(admin, {"routes": {}, "silences": []}, "")
    assert [each["path"].partition(".")[0] for each in found["changes"]] == ["routes", "silences"]
    assert not Route.objects.exists()
    assert Silence.objects.get().ends <= time.time()
    assert Rule.objects.exists()


def test_errors_name_their_paths_and_nothing_is_applied(cli: Any, file: Path) -> None:
    before = list(Rule.objects.values())
    edit(file, "share_pct: 25", "share_pct: 250")
    edit(file, "severity: warning", "severity: dire")
    edit(file, "channel: pager", "channel: beeper")
    edit(file, "quiet_to: 7", "quiet_to: 24")
    edit(file, "for_s: 120", "for_s: soon")
    edit(file, "reason: a migration", "reason: ''\n  color: red")
    for act in ("plan", "apply"):
        answer = cli(act, str(file))
        assert answer.exit_code != 0
        for path in (
            "rules.Open.params.share_pct", "rules.Flapping.severity", "routes.night.channel",
            "routes.night.quiet_to", "rules.Stuck half-open.for_s", "silences.0.reason",
            "silences.0.color",
        ):  # fmt: skip
            assert path in answer.output, path
    assert list(Rule.objects.values()) == before


def test_a_change_since_the_plan_is_a_conflict(cli: Any, admin: Person) -> None:
    document = documents.export(admin)
    base = documents.plan(admin, document)["base"]
    Rule.objects.filter(name="Open").update(severity="info")
    with pytest.raises(documents.DocumentConflict):
        documents.apply(admin, document, "", base)


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ({"kind": "flapping", "for_s": 300}, "for_s"),
        ({"kind": "override_ends", "for_s": 300}, "for_s"),
        ({"kind": "silent", "for_s": 700}, "for_s"),
        ({"kind": "burn_rate", "tag": "v124"}, "tag"),
        ({"kind": "burn_rate", "params": {"objective_pct": 80}}, "params.objective_pct"),
        ({"kind": "traffic_gone", "for_s": 60}, "for_s"),
        ({"kind": "open_share", "team": "payments", "service": "ads"}, "service"),
        ({"kind": "open_share", "team": "nobody"}, "team"),
        ({"kind": "open_share", "params": {"share": 1}}, "params.share"),
    ],
)
def test_a_rule_that_could_never_fire_is_refused_at_its_field(
    cli: Any, admin: Person, entry: dict[str, Any], path: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        documents.plan(admin, {"rules": {"Odd": entry}})
    assert list(caught.value.message_dict) == [f"rules.Odd.{path}"]


@pytest.mark.parametrize(
    "document",
    [None, [], {"rules": []}, {"rules": {"x": 1}}, {"silences": {}}, {"silences": [1]},
     {"rule": {}}, {"rules": {"": {"kind": "open_share"}}}, {"rules": {"x": {"kind": ["a"]}}},
     {"rules": {"x": {"kind": "open_share", "for_s": float("nan")}}}],
)  # fmt: skip
def test_what_is_no_document_is_an_error(admin: Person, document: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        documents.plan(admin, document)
    assert caught.value.message_dict


def test_only_an_administrator_exports(operator: Person) -> None:
    with pytest.raises(PermissionDenied):
        documents.export(operator)
