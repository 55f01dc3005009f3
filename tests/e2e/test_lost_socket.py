"""A dashboard that is killed under an open wall: the page says since when it is old, and is live
again by itself when the dashboard is back, showing what happened meanwhile."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.child_process import Dashboard, migrate
from tests.examples.running import Running, eventually, http, running
from tests.servers import free_port

PASSWORD = "only for this test, and long"
ROW = "#wall .breaker[data-breaker=posts]"


@contextmanager
def server(dashboard: Dashboard) -> Iterator[Running]:
    """The dashboard's one process, on the port that it always has."""
    port = dashboard.url.rpartition(":")[2]
    web = ("uvicorn", "dashboard.asgi:application", "--port", port, "--ws", "websockets-sansio")
    with running(*web, **dashboard.own) as process:
        eventually(lambda: http.get(f"{dashboard.url}/readyz").status_code == 200, 30)
        yield process


@pytest.fixture
def dashboard(tmp_path: Path) -> Dashboard:
    own = {
        "SWITCHGEAR_DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        "SWITCHGEAR_SECRET_KEY": "for this test only, fifty characters or more of it",
        "SWITCHGEAR_STATIC_ROOT": str(tmp_path / "static"),
        "SWITCHGEAR_DEBUG": "1",
    }
    made = Dashboard(f"http://127.0.0.1:{free_port()}", own)
    migrate(made, tmp_path / "db.sqlite3")
    made.python(
        "from dashboard.access.people import keep_person\n"
        f"keep_person('operator', 'operator', {PASSWORD!r})\nprint(1)"
    )
    return made


class Instance:
    """One instance that reports each quarter of a second, whoever listens."""

    def __init__(self, dashboard: Dashboard) -> None:
        self.state = "closed"
        self._url = f"{dashboard.url}/api/v1/reports"
        self._headers = {"Authorization": f"Bearer {dashboard.token('shop')}"}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Instance:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(trust_env=False, timeout=5.0, headers=self._headers) as client:
            for seq in count(1):
                if self._over.wait(0.25):
                    return
                report: dict[str, Any] = {
                    "type": "report",
                    "service": "shop",
                    "instance": {"id": "one"},
                    "boot": "b",
                    "seq": seq,
                    "interval_s": 0.25,
                    "breakers": [{"name": "posts", "state": self.state, "counts": {"success": 10}}],
                }
                try:
                    client.post(self._url, json=report)
                except httpx.HTTPError:
                    continue


def log_in(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_label("Name").fill("operator")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def test_a_lost_connection_shows_the_age_of_the_data_and_recovers(
    browser: Browser, dashboard: Dashboard
) -> None:
    context = browser.new_context()
    page = context.new_page()
    with Instance(dashboard) as instance:
        with server(dashboard):
            log_in(page, dashboard.url)
            expect(page.locator(ROW)).to_have_attribute("data-state", "closed", timeout=15_000)
            expect(page.locator("#connection")).to_have_text("Live")
            page.evaluate("window.notReloaded = true")
        banner = page.locator("#old-data")
        expect(banner).to_have_text(
            re.compile(r"Connection lost\. Data from \d\d:\d\d:\d\d\. \d+ s old\. Trying again …")
        )
        expect(banner).to_have_attribute("title", re.compile("UTC$"))
        expect(page.locator("#connection")).to_have_text("Reconnecting")
        expect(page.locator(ROW)).to_have_attribute("data-state", "closed")
        instance.state = "open"
        with server(dashboard):
            expect(page.locator("#connection")).to_have_text("Live", timeout=20_000)
            expect(banner).to_be_hidden()
            expect(page.locator(ROW)).to_have_attribute("data-state", "open", timeout=10_000)
            expect(page.locator("#announcer")).to_have_text("posts of shop: Open")
            assert page.evaluate("window.notReloaded")
    context.close()
