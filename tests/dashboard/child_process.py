"""The dashboard as a separate process, used through management commands and its API."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from tests.dashboard.dashboard_process import ROOT, PythonShell
from tests.examples.running import Running, eventually, http
from tests.servers import free_port


@dataclass
class Dashboard:
    """Where it listens, and the variables it was started with."""

    url: str
    own: dict[str, str]

    def manage(self, *arguments: str) -> str:
        """What a management command prints."""
        called = ", ".join(map(repr, arguments))
        return self.shell.run(
            f"from django.core.management import call_command\ncall_command({called})"
        )

    @cached_property
    def shell(self) -> PythonShell:
        return PythonShell(self.own)

    def python(self, code: str) -> Any:
        """What some code in the dashboard's shell prints last, as JSON."""
        return json.loads(self.shell.run(code).strip().splitlines()[-1])

    def token(self, service: str) -> str:
        """A fresh token of a service."""
        return self.manage("create_token", service).strip()


@dataclass
class Embedded(Dashboard):
    """One process on SQLite, which can be killed and started again."""

    port: int
    process: Running | None = None

    def start(self) -> None:
        """Until it is fit to serve."""
        self.process = Running("manage", "web", "--port", str(self.port), **self.own)
        eventually(lambda: http.get(f"{self.url}/readyz").status_code == 200, 30)

    def kill(self) -> None:
        """At once, as by kill -9."""
        if self.process is not None:
            self.process.kill_everything()


def migrate(dashboard: Dashboard, database: Path) -> None:
    """Make the tables in a new SQLite file. Migrating costs seconds, so that it is done once for
    each state of the migrations, and copied from there."""
    digest = sha256()
    for each in sorted((ROOT / "dashboard").rglob("migrations/*.py")):
        digest.update(each.read_bytes())
    digest.update((ROOT / "requirements/requirements.lock").read_bytes())
    made = Path(gettempdir()) / f"switchgear-migrated-{digest.hexdigest()[:16]}.sqlite3"
    if not made.exists():
        dashboard.manage("migrate", "-v0")
        unfinished = made.with_suffix(f".{os.getpid()}")
        _copy(database, unfinished)
        unfinished.replace(made)
    else:
        _copy(made, database)


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


@contextmanager
def embedded_dashboard(directory: Path, **more: str) -> Iterator[Embedded]:
    """One process on SQLite, as in the demo."""
    port = free_port()
    own = {
        "SWITCHGEAR_DATABASE_URL": f"sqlite:///{directory / 'db.sqlite3'}",
        "SWITCHGEAR_SECRET_KEY": "for this test only, fifty characters or more of it",
        "SWITCHGEAR_STATIC_ROOT": str(directory / "static"),
        "SWITCHGEAR_METRICS_TOKEN": "for Prometheus only",
        **more,
    }
    dashboard = Embedded(f"http://127.0.0.1:{port}", own, port)
    try:
        migrate(dashboard, directory / "db.sqlite3")
        dashboard.start()
        yield dashboard
    finally:
        dashboard.shell.close()
        dashboard.kill()
