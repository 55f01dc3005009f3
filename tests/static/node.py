"""Runs the pages' modules in real Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def run(script: str, argument: Any) -> Any:
    """What a module prints as JSON; `process.argv[1]` is the argument as JSON."""
    node = shutil.which("node")
    assert node, "these tests need Node 18 or newer: apt-get install nodejs"
    command = [node, "--input-type=module", "-e", script, json.dumps(argument)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
