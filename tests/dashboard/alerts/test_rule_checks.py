"""A rule that could never fire, or always would, is refused at its field."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from dashboard.access.people import keep_team
from dashboard.alerts.models import Rule
from dashboard.alerts.rule_checks import checked
from dashboard.alerts.rule_kinds import KINDS, params_of

pytestmark = pytest.mark.django_db


def wrong(kind: str, **fields: Any) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        checked(Rule(name="x", kind=kind, **{"params": {}, "for_s": KINDS[kind].for_s, **fields}))
    found: dict[str, list[str]] = caught.value.message_dict
    return found


@pytest.mark.parametrize(
    ("kind", "fields", "field", "words"),
    [
        ("open_share", {"params": {"share_pct": 101}}, "share_pct", "could never fire"),
        ("open_share", {"params": {"share_pct": -1}}, "share_pct", "use 0 to 100"),
        ("open_share", {"params": {"instances": 0}}, "instances", "use 1 to 5000"),
        ("open_share", {"params": {"instances": "two"}}, "instances", "not a number"),
        ("open_share", {"params": {"trips": 3}}, "trips", "has no parameter 'trips'"),
        ("open_share", {"for_s": -1}, "for_s", "use 0 to 86400 s"),
        ("open_share", {"for_s": float("nan")}, "for_s", "use 0 to 86400 s"),
        ("flapping", {"params": {"trips": 1}}, "trips", "use 2 to 100"),
        ("flapping", {"for_s": 300}, "for_s", "the trips no longer count after 300 s"),
        ("override_ends", {"for_s": 4000}, "for_s", "the override ends after"),
        ("silent", {"for_s": 86_000}, "for_s", "a silent instance is forgotten after"),
        ("burn_rate", {"params": {"objective_pct": 80}}, "objective_pct", "use 83.4 to 99.999"),
        ("burn_rate", {"params": {"objective_pct": 100}}, "objective_pct", "use 83.4 to 99.999"),
        ("burn_rate", {"for_s": 5}, "for_s", "judged after each whole minute"),
        ("traffic_gone", {"tag": "v2"}, "tag", "calls are not counted by version"),
        ("retry_amplification", {"params": {"factor": 1}}, "factor", "use 1.01 to 100"),
    ],
)
def test_the_field_says_why(kind: str, fields: dict[str, Any], field: str, words: str) -> None:
    assert words in wrong(kind, **fields)[field][0]


def test_a_team_without_services_and_a_service_of_another_team() -> None:
    team = keep_team(None, "empty", [])
    assert "has no services" in wrong("open_share", team=team)["team"][0]
    team = keep_team(None, "shop", ["shop", "pay-*"])
    assert "no service of the team" in wrong("open_share", team=team, service="ads")["service"][0]
    assert checked(Rule(name="x", kind="open_share", team=team, service="pay-cards", for_s=1))


@pytest.mark.parametrize("kind", KINDS)
def test_the_defaults_of_each_kind_are_right(kind: str) -> None:
    made = checked(Rule(name="x", kind=kind, for_s=KINDS[kind].for_s))
    assert made.params == params_of(kind, {})
