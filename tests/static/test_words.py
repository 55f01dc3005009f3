"""The screens, messages and docs use one set of words; what was retired does not come back."""

from __future__ import annotations

import ast
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
    "probes": "test calls",
    "the open time is over": "wait ended, testing again",
    "link has ended": "link has expired",
    "metrics only": "monitor only",
    "not well": "in trouble",
    "what you see is of": "data from",
    "changed since by": "has since changed it",
}
SOURCES = [
    *sorted((ROOT / "templates").rglob("*.html")),
    *sorted((ROOT / "static/js").glob("*.js")),
    *sorted((ROOT / "dashboard").glob("*/action_catalogue.py")),
    *sorted((ROOT / "dashboard/web").glob("*.py")),
    *sorted((ROOT / "dashboard/alerts").glob("*.py")),
    *sorted((ROOT / "dashboard/timeline").glob("*.py")),
]
_COMMENT = re.compile(
    r"/\*.*?\*/|^\s*//[^\n]*|{% comment %}.*?{% endcomment %}|^\s*#[^\n]*", re.S | re.M
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_screen_uses_a_retired_word(path: Path) -> None:
    text = _COMMENT.sub("", path.read_text())
    if path.suffix == ".py":
        text = "\n".join(_messages(text))
    found = {word for word in RETIRED if re.search(rf"\b{re.escape(word)}(?!\w)", text)}
    assert found == set()


def _messages(source: str) -> list[str]:
    """The texts of a module: what it may say to somebody, without docstrings."""
    tree = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
    ]


CAUSES = ROOT / "breakers/circuit/state_machine.py"


def test_causes_use_the_words_of_the_screens() -> None:
    said = "\n".join(_messages(CAUSES.read_text()))
    assert "wait ended, testing again" in said
    assert not re.search(r"\bprobes? (failed|was|succeeded)", said)


def test_every_state_is_in_the_glossary() -> None:
    assert set(STATE_WORDS.values()) <= {term for term, _ in TERMS}


def test_the_docs_have_the_same_glossary() -> None:
    text = (ROOT / "docs/guide/glossary.md").read_text()
    for term, meaning in TERMS:
        assert f"| {term} | {meaning} |" in text
