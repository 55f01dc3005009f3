"""The benchmark runs in every mode, names every peer and ends in the documented line. Figures are
not tested."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAST = re.compile(r"calls ratio=\d+\.\d\d floor=\d+ best_peer=[a-z]+:\d+\.\d\d")
PEERS = (
    "pybreaker", "circuitbreaker", "purgatory", "aiobreaker", "hyx", "interlock", "nopanic",
    "pyresilience", "tenacity",
    "stamina", "naive class", "switchgear",
)  # fmt: skip


@pytest.mark.parametrize("mode", [(), ("--async",), ("--open",), ("--threads", "8"), ("--memory",)])
def test_a_run_names_every_peer_and_ends_in_the_agreed_line(mode: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.calls", *mode, "--rounds", "1"],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert LAST.fullmatch(lines[-1])
    for peer in PEERS:
        assert any(line.startswith(peer) or f"{peer} " in line for line in lines), peer
