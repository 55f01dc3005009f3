"""The contract of history holds on PostgreSQL too: the tests beside this one, once more, there; and
the timeline, which is read from it, the sweeps, the cursors of the fleet, and recordings from the
order to the replay."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import postgres_server

HERE = Path(__file__).parent
TIMELINE = HERE.parent / "timeline/test_events.py"
CURSORS = HERE.parent / "fleet/test_cursors.py"
SWEEPS = HERE.parent / "common/test_batch_deletion.py"
ORDERS = HERE.parent / "control/test_recording_orders.py"
REPLAYS = HERE.parent / "policies/whatif/test_recordings.py"
ROOT = HERE.parents[2]
VARIABLE = "SWITCHGEAR_DATABASE_URL"


@pytest.mark.skipif(VARIABLE in os.environ, reason="this is that run")
def test_the_contract_holds_on_postgres(tmp_path: Path) -> None:
    with postgres_server(tmp_path) as url:
        run = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                HERE,
                TIMELINE,
                SWEEPS,
                CURSORS,
                ORDERS,
                REPLAYS,
            ],
            cwd=ROOT,
            env={**os.environ, VARIABLE: url},
            capture_output=True,
            text=True,
        )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert " passed" in run.stdout
