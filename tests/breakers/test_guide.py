"""Every Python block of the library's guides runs as it stands, page by page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FETCH = """
asked = []
def fetch(path):
    asked.append(path)
    raise ConnectionError(path)
"""
# Fails at the first time that it is asked for a path.
FLAKY = """
database = {7: "Ada"}
seen = set()
def flaky(path):
    if path not in seen:
        seen.add(path)
        raise ConnectionError(path)
    seen.discard(path)
    return path
"""
# What a page's blocks need to be there, and what must hold after them.
PAGES = {
    "calls.md": (FETCH, "assert get_posts(7) == []\nassert len(asked) == 3"),
    "exporters.md": ("", ""),
    "migrating.md": (FLAKY, 'assert user and answer == "/posts"'),
}


def run(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", PAGES)
def test_the_guides_examples_run(name: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/guide" / name).read_text(), re.DOTALL)
    assert blocks
    before, after = PAGES[name]
    # A section stands on its own: a name that the one before registered is free again.
    fresh = "import breakers as _b\nfor _each in _b.registry.all(): _b.registry.remove(_each.name)"
    run("\n".join([before, *(f"{fresh}\n{block}" for block in blocks), after]))


def test_each_library_that_one_may_come_from_has_its_section_and_its_tests() -> None:
    page = (ROOT / "docs/guide/migrating.md").read_text()
    sections = re.findall(r"^## (\w+)$", page, re.MULTILINE)
    assert sections == [
        "pybreaker", "tenacity", "stamina", "Hystrix", "circuitbreaker", "purgatory",
        "resilience4j",
    ]  # fmt: skip
    for section in sections:
        assert (ROOT / f"tests/breakers/peers/test_{section.lower()}.py").exists()
