"""The screens, messages and docs use one set of words; what was retired does not come back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dashboard.common.display_names import STATE_WORDS
from dashboard.common.glossary import TERMS

ROOT = Path(__file__).parents[2]
# What it was, and what it is called now.
RETIRED = {
    "Metrics only": "Monitor only",
    "Screen for the room": "Wall display",
    "Where latencies lie": "Latency distribution",
    "Not closed for": "Failing for",
    "No call needed a fallback": "Whether callers have a fallback is not known",
    "all well": "All n breakers closed",
    "calls/s degraded": "calls/s lost",
    "Reach</legend>": "Applies to",
    "Say why": "Give a reason",
    "No room for": "Over capacity",
    "You may not do this": "Only operators can do this",
    "Listening to the fleet": "Loading",
    "Acts under way": "Actions in progress",
    "probe": "test call",
}
SOURCES = [
    *sorted((ROOT / "templates").rglob("*.html")),
    *sorted((ROOT / "static/js").glob("*.js")),
    ROOT / "dashboard/control/action_catalogue.py",
    ROOT / "dashboard/web/forms.py",
    ROOT / "dashboard/timeline/event_text.py",
]
_COMMENT = re.compile(
    r"/\*.*?\*/|^\s*//[^\n]*|{% comment %}.*?{% endcomment %}|^\s*#[^\n]*", re.S | re.M
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_screen_uses_a_retired_word(path: Path) -> None:
    text = _COMMENT.sub("", path.read_text())
    found = {word for word in RETIRED if re.search(rf"\b{re.escape(word)}(?!\w)", text)}
    assert found == set()


def test_every_state_is_in_the_glossary() -> None:
    assert set(STATE_WORDS.values()) <= {term for term, _ in TERMS}


def test_the_docs_have_the_same_glossary() -> None:
    text = (ROOT / "docs/guide/glossary.md").read_text()
    for term, meaning in TERMS:
        assert f"| {term} | {meaning} |" in text
