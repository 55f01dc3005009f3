"""The dashboard as its own process, asked through its management commands and its doors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.examples.running import ROOT, eventually, http, running
from tests.servers import free_port


@dataclass
class Dashboard:
    """Where it listens, and the variables it was started with."""

    url: str
    own: dict[str, str]

    def manage(self, *arguments: str) -> str:
        """What a management command prints."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**os.environ, **self.own},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def python(self, code: str) -> Any:
        """What some code in the dashboard's shell prints last, as JSON."""
        printed = self.manage("shell", "--no-imports", "-c", f"import json\n{code}")
        return json.loads(printed.strip().splitlines()[-1])

    def token(self, service: str) -> str:
        """A fresh token of a service."""
        return self.manage("create_token", service).strip()


@contextmanager
def embedded_dashboard(directory: Path, **more: str) -> Iterator[Dashboard]:
    """One process on SQLite, as in the demo."""
    port = free_port()
    own = {
        "SWITCHGEAR_DATABASE_URL": f"sqlite:///{directory / 'db.sqlite3'}",
        "SWITCHGEAR_SECRET_KEY": "for this test only, fifty characters or more of it",
        "SWITCHGEAR_STATIC_ROOT": str(directory / "static"),
        **more,
    }
    dashboard = Dashboard(f"http://127.0.0.1:{port}", own)
    dashboard.manage("migrate", "-v0")
    web = ("uvicorn", "dashboard.asgi:application", "--port", str(port))
    with running(*web, "--ws", "websockets-sansio", "--ws-max-size", "2000000", **own):
        eventually(lambda: http.get(f"{dashboard.url}/readyz").status_code == 200, 30)
        yield dashboard
