"""The running demo, real browsers that look at it, and whoever has logged in there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.e2e.dashboard_server import session
from tests.examples.running import Running, http, running

_unseen = count(10_000_000)
# The receivers of messages in these tests are on this machine.
_ENV = {"SWITCHGEAR_ALERTS_ALLOW_PRIVATE": "1"}


@dataclass
class Demo:
    """`make demo`, as its output and its files describe it."""

    process: Running
    url: str
    state: Path
    passwords: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, Any] = field(default_factory=dict)

    @property
    def port(self) -> str:
        return self.url.rpartition(":")[2]

    def shop(self) -> dict[str, Any]:
        """Where the shop's processes listen."""
        found: dict[str, Any] = json.loads((self.state / "shop.json").read_text())
        return found

    def incident(self, what: str, pace: float = 1.0) -> None:
        """Start or stop the incident at the director's own HTTP face."""
        url = f"{self.shop()['director']}/incident/{what}"
        http.post(url, json={"pace": pace}).raise_for_status()

    def profiles(self) -> list[dict[str, Any]]:
        """A profile from each instance of the shop's API, as its callers get it; of users that
        nobody asked for before, since posts are cached."""
        return [
            http.get(f"{url}/profile/{next(_unseen)}").json()
            for url in self.shop()["peers"]["profile-api"]
        ]


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Ends with the last test of this folder: its load takes half a core."""
    home = tmp_path_factory.mktemp("demo")
    with running("examples.demo", "--port", "8600", DEMO_DIR=str(home), **_ENV) as process:
        url = process.line(r"Dashboard\s+(http://\S+)", within_s=60)[1]
        port = url.rpartition(":")[2]
        demo = Demo(process, url, home / port)
        for person in ("operator", "viewer", "admin"):
            demo.passwords[person] = (demo.state / f"{person}.password").read_text().strip()
        yield demo


@dataclass
class Visit:
    """Somebody's browser window, and what its console complained of."""

    page: Page
    complaints: list[str]


def visit(browser: Browser, demo: Demo, person: str, **options: Any) -> Visit:
    """A fresh window in which `person` has logged in."""
    options.setdefault("viewport", {"width": 1440, "height": 900})
    context: BrowserContext = browser.new_context(
        storage_state=session(browser, demo, person), **options
    )
    context.set_default_timeout(15_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(demo.url)
    return Visit(page, complaints)


@pytest.fixture
def operator(browser: Browser, demo: Demo) -> Iterator[Visit]:
    opened = visit(browser, demo, "operator")
    yield opened
    opened.page.context.close()


@pytest.fixture
def viewer(browser: Browser, demo: Demo) -> Iterator[Visit]:
    opened = visit(browser, demo, "viewer")
    yield opened
    opened.page.context.close()


@pytest.fixture
def hands_off(operator: Visit, demo: Demo) -> Iterator[None]:
    """Whatever a test forced is released after it, even if it fails."""
    yield
    page = operator.page
    shot = page.request.get(f"{demo.url}/api/v1/fleet").json()
    forced = [
        (service["name"], each["name"])
        for service in shot["services"]
        for each in service["breakers"]
        if each["override"]
    ]
    csrf = next(c["value"] for c in page.context.cookies() if c["name"] == "csrftoken")
    form = {"csrfmiddlewaretoken": csrf, "targets": json.dumps(forced), "reason": "test over"}
    if forced:
        page.request.post(f"{demo.url}/acts/automatic", form=form)
