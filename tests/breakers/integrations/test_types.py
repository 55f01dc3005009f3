"""A type checker sees through the integrations: what is guarded keeps its type, misuse is found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_mypy_agrees_with_every_use() -> None:
    # Where make check has left its cache, it is asked for this one file only.
    done = subprocess.run(
        [sys.executable, "-m", "mypy", str(Path(__file__).with_name("uses.py"))],
        env={**os.environ, "SWITCHGEAR_DEBUG": "1"},
        cwd=ROOT, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
