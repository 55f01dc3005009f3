"""The examples of docs/guide/calls.md run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FETCH = """
asked = []
def fetch(path):
    asked.append(path)
    raise ConnectionError(path)
"""


def test_the_guides_example_runs() -> None:
    page = (ROOT / "docs/guide/calls.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert blocks
    code = "\n".join([FETCH, *blocks, "assert get_posts(7) == []", "assert len(asked) == 3"])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
