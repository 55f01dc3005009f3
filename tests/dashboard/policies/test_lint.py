"""The linter: each code, and that each has its page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from breakers.circuit.histogram import Histogram
from breakers.circuit.policy import Policy
from dashboard.access.models import Person
from dashboard.policies import lint, services
from dashboard.policies.lint import Evidence, check, paths_to

ROOT = Path(__file__).parents[3]
SOUND = {**Policy().as_dict(), "timeout": 1.0}


def codes(evidence: Evidence | None = None, **fields: Any) -> set[str]:
    return {each.code for each in check({**SOUND, **fields}, evidence)}


def sketch(seconds: float) -> Histogram:
    found = Histogram()
    found.record_many([seconds] * 2000)
    return found


def path(*attempts: int, **last: Any) -> tuple[tuple[str, dict[str, Any]], ...]:
    return tuple((f"s{n}/b", {**SOUND, "retries": each, **last}) for n, each in enumerate(attempts))


@pytest.mark.parametrize(
    ("code", "fields", "evidence"),
    [
        ("SG001", {"timeout": 2.0, "deadline": 5.0}, None),
        ("SG002", {"timeout": None}, None),
        ("SG003", {}, Evidence(paths=(path(1, 3, timeout=0.2),))),
        ("SG004", {}, Evidence(paths=(path(3, 3, 3),))),
        ("SG005", {"window_type": "time", "window_size": 1, "timeout": 2.0}, None),
        ("SG006", {"timeout_duration": 5.0}, Evidence(restart_s=40.0)),
        ("SG007", {"timeout": 0.1}, Evidence(latencies=sketch(0.5))),
        ("SG008", {"timeout": 30.0}, Evidence(latencies=sketch(0.5))),
        ("SG009", {"criticality": "critical"}, Evidence(failures=10)),
        (
            "SG010",
            {"failure_rate_threshold": 0.5, "window_size": 5, "minimum_calls": 10},
            None,
        ),
        ("SG011", {"failure_threshold": None}, None),
        ("SG012", {"retry_budget": None}, None),
        ("SG013", {"retry_jitter": 0.0}, None),
    ],
)
def test_each_code(code: str, fields: dict[str, Any], evidence: Evidence | None) -> None:
    assert code in codes(evidence, **fields)
    page = (ROOT / "docs" / "policies" / "lint" / f"{code}.md").read_text()
    assert page.startswith(f"# {code}")


def test_a_sound_policy_has_no_finding() -> None:
    assert codes(Evidence(latencies=sketch(0.3))) == set()


def test_every_code_of_the_source_has_a_page_and_a_case() -> None:
    source = Path(lint.__file__).read_text()
    pages = {each.stem for each in (ROOT / "docs" / "policies" / "lint").glob("SG*.md")}
    assert set(re.findall(r"SG[0-9]{3}", source)) == pages


def test_a_message_has_its_numbers() -> None:
    (one,) = check({**SOUND, "timeout": 2.0, "deadline": 5.0})
    assert one.message == (
        "3 attempts of 2 s with pauses take up to 7.5 s: longer than the total deadline of 5 s."
    )
    found = check(SOUND, Evidence(paths=(path(3, 3, 3, timeout=60.0),)))
    assert any("3 × 3 × 3 = 27" in each.message for each in found)


@pytest.mark.django_db
def test_paths_follow_the_map_and_end_at_circles(operator: Person) -> None:
    services.save(operator, "web", "api", {"retries": 7})
    shot = {
        "services": [
            {"name": "web", "breakers": [{"name": "api"}]},
            {"name": "api", "breakers": [{"name": "posts"}]},
            {"name": "posts", "breakers": [{"name": "web"}]},
        ]
    }
    (found,) = paths_to("api", "posts", shot)
    assert [name for name, _ in found] == ["posts/web", "web/api", "api/posts"]
    assert found[1][1]["retries"] == 7
