"""A Django shell that stays open: starting one costs seconds, asking one costs none."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class PythonShell:
    """Runs code in a process of its own, which ends with ours."""

    def __init__(self, own: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.dashboard.dashboard_process"],
            cwd=ROOT,
            env={**os.environ, **own},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str) -> str:
        """What the code prints. `json` is imported; nothing else stays from call to call."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(code) + "\n")
        self._process.stdin.flush()
        printed, error = json.loads(self._process.stdout.readline())
        assert not error, error
        return str(printed)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


def _serve() -> None:
    import django
    from django.db import close_old_connections

    answers, sys.stdout = sys.stdout, sys.stderr
    django.setup()
    for line in sys.stdin:
        printed, error = io.StringIO(), ""
        close_old_connections()
        try:
            with contextlib.redirect_stdout(printed):
                exec(json.loads(line), {"json": json})
        except Exception:
            error = traceback.format_exc()
        print(json.dumps([printed.getvalue(), error]), file=answers, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    _serve()
