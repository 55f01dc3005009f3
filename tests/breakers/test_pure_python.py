"""The suite of the circuit over plain Python, which serves where nothing was compiled.

`make coverage` runs all of the core's suite so, and measures the branches that it takes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from breakers.circuit import admission

HERE = Path(__file__).parent
SUITES = ("circuit", "limits", "trust/test_nested_calls.py", "test_threads.py")


@pytest.mark.skipif(not admission.COMPILED, reason="this is the run of the twin")
def test_the_twin_of_the_extension_passes_the_same_suite() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *(str(HERE / each) for each in SUITES)],
        env={**os.environ, "SWITCHGEAR_PURE": "1"},
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
