"""The examples of docs/guide/integrations.md run as they stand, against real servers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.breakers.integrations.service import Service

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/guide/integrations.md").read_text()
EXAMPLES = dict(re.findall(r"^#+ ([^\n]+)\n(?:(?!^#).)*?```python\n(.*?)```", PAGE, re.M | re.S))
# What is done with an example, and must hold afterwards.
CHECKS = {
    "httpx": "import asyncio\nassert asyncio.run(user(7)) == b'answer'",
    "requests": "assert payments.snapshot().counts['success'] == 1",
}


def test_every_example_is_here() -> None:
    assert set(EXAMPLES) == set(CHECKS)
    assert PAGE.count("```python") == len(EXAMPLES)


@pytest.mark.parametrize("name", CHECKS)
def test_the_example_runs(name: str, service: Service) -> None:
    code = EXAMPLES[name].replace("https://api.example.com", service.url)
    code = code.replace('"https://"', '"http://"') + CHECKS[name]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
