"""On PostgreSQL too the audit trail is append-only, and its chain and its time stamps detect
tampering: the tests beside this one, once more, there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import postgres_server

HERE = Path(__file__).parent
TESTS = [HERE / "test_audit_chain.py", HERE / "test_time_stamps.py"]
ROOT = HERE.parents[2]
VARIABLE = "SWITCHGEAR_DATABASE_URL"


@pytest.mark.skipif(VARIABLE in os.environ, reason="this is that run")
def test_tampering_is_detected_on_postgres(tmp_path: Path) -> None:
    with postgres_server(tmp_path) as url:
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *TESTS],
            cwd=ROOT,
            env={**os.environ, VARIABLE: url},
            capture_output=True,
            text=True,
        )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert " passed" in run.stdout
    # TRUNCATE exists there alone.
    assert "skipped" not in run.stdout
