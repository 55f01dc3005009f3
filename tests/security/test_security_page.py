"""docs/security.md names a test for each requirement, and each of them exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text()
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| \d", line)]


def test_each_requirement_names_tests_that_exist() -> None:
    assert len(ROWS) > 30
    for row in ROWS:
        cells = [each.strip() for each in row.strip("|").split("|")]
        assert len(cells) == 4, row
        named = re.findall(r"`([\w/]+\.py)`", cells[3])
        assert named, f"no test holds {cells[0]}"
        for each in named:
            assert (ROOT / each).is_file(), each
