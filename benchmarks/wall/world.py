"""The processes of the measurement: a dashboard with a synthetic fleet, and Chromium."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from playwright.sync_api import Browser, Playwright

ROOT = Path(__file__).resolve().parents[2]
PERSON, PASSWORD = "operator", "only for this measurement"
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-precise-memory-info",
]
_START_S = 60.0
_MAKE = (
    "from dashboard.access.people import keep_person;"
    f"keep_person({PERSON!r}, 'operator', {PASSWORD!r})"
)


@dataclass(frozen=True)
class DashboardLogin:
    """The address of a dashboard, and an account."""

    url: str
    person: str = PERSON
    password: str = PASSWORD


def launch(playwright: Playwright) -> Browser:
    """The system's Chromium; the one without a window's parts takes less of the cores that the
    dashboard and its fleet share with it."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        sys.exit("the wall is measured in Chromium: apt-get install chromium")
    return playwright.chromium.launch(executable_path=found, args=ARGS)


@contextmanager
def prepared() -> Iterator[dict[str, str]]:
    """The variables of a dashboard whose database and static files are there."""
    with tempfile.TemporaryDirectory(prefix="switchgear-wall-") as home:
        env = {
            **os.environ,
            "SWITCHGEAR_SECRET_KEY": "for this measurement only, fifty characters or more",
            "SWITCHGEAR_DATABASE_URL": f"sqlite:///{home}/db.sqlite3",
            "SWITCHGEAR_STATIC_ROOT": f"{home}/static",
            "SWITCHGEAR_LOG_LEVEL": "ERROR",
        }
        for command in (
            ("migrate", "-v0"),
            ("collectstatic", "--noinput", "-v0"),
            ("shell", "--no-imports", "-c", _MAKE),
        ):
            subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=env, check=True)
        yield env


@contextmanager
def dashboard(env: dict[str, str], breakers: int) -> Iterator[DashboardLogin]:
    """A dashboard process of its own, with so many breakers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = [sys.executable, "-m", "benchmarks.wall.serve", str(port), str(breakers)]
    process = subprocess.Popen(server, cwd=ROOT, env=env, stderr=subprocess.DEVNULL)
    try:
        login = DashboardLogin(f"http://127.0.0.1:{port}")
        _wait(login.url, process)
        yield login
    finally:
        process.kill()
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_S
    opener = build_opener(ProxyHandler({}))
    while time.monotonic() < until and process.poll() is None:
        try:
            opener.open(f"{url}/healthz", timeout=2).close()
        except (URLError, OSError):
            time.sleep(0.1)
        else:
            return
    sys.exit("the dashboard did not start")
