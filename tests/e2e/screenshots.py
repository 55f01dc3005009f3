"""Writes docs/images: every page under a running incident, desktop and phone, light and dark.

`make screenshots` runs it; it starts its own demo and stops it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.e2e import large_fleet
from tests.e2e.conftest import CHROMIUM_ARGS, chromium
from tests.e2e.dashboard_server import running_site
from tests.e2e.demo.conftest import Demo, visit
from tests.examples.running import ROOT, running

SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
THEMES = ("light", "dark")
IMAGES = ROOT / "docs/images"
LARGEST = 250 * 1024
BEFORE_MS = 60_000
INCIDENT_MS = 30_000


@dataclass(frozen=True)
class Shot:
    """A page, what it shows once it is ready, and what is done on it first."""

    name: str
    path: str
    ready: str
    first: Callable[[Page], None] = lambda page: None


def act(page: Page) -> None:
    """Put a hand on posts."""
    row = page.locator("[data-breaker=posts][data-service=profile-api]")
    row.locator("summary, .icon-button").first.click()
    page.locator("a[data-act=force-open]:visible, [data-act=force-open]:visible").first.click()
    page.wait_for_selector("#act-dialog form")


SHOTS = (
    Shot("wall", "/", "[data-breaker=posts][data-state]"),
    Shot("act", "/", "[data-breaker=posts][data-state]", act),
    Shot("breaker", "/services/profile-api/breakers/posts?range=5m", "#chart-rate .main-svg"),
    Shot("service", "/services/profile-api", "#breakers tbody tr"),
    Shot("map", "/map", ".edge"),
    Shot("timeline", "/timeline?range=1h", "#events tr"),
    Shot("tv", "/tv", ".tv-row"),
)


def force_social_open(page: Page, demo: Demo) -> None:
    """So that an override is on the wall too."""
    page.goto(f"{demo.url}/services/profile-api/breakers/social/force-open")
    page.get_by_label("Reason").fill("social is flaky since the deploy, INC-247")
    page.get_by_role("button", name="Force open").click()
    page.wait_for_url("**/breakers/social*")


def status_link(demo: Demo) -> str:
    """A link to the stakeholders' page, made in the dashboard's own shell."""
    code = (
        "from datetime import timedelta; from django.utils import timezone\n"
        "from dashboard.access.models import Person\n"
        "from dashboard.access.status_links import create_status_link\n"
        "until = timezone.now() + timedelta(days=1)\n"
        "print(create_status_link(Person.objects.get(username='admin'), 'the board', until))"
    )
    own = {
        "SWITCHGEAR_DATABASE_URL": f"sqlite:///{demo.state / 'db.sqlite3'}",
        "SWITCHGEAR_SECRET_KEY_FILE": str(demo.state / "secret_key"),
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", code],
        cwd=ROOT,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=True,
    )
    return f"{demo.url}/status/{done.stdout.split()[-1]}"


def shoot(page: Page, demo: Demo, shot: Shot, variant: str) -> None:
    """One page as it is now."""
    page.goto(demo.url + shot.path)
    page.wait_for_selector(shot.ready)
    page.wait_for_timeout(1200)
    shot.first(page)
    page.wait_for_timeout(300)
    keep(page, f"{shot.name}-{variant}")


def keep(page: Page, name: str) -> None:
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path)
    if path.stat().st_size > LARGEST:
        sys.exit(f"{path.name} takes {path.stat().st_size} bytes; at most {LARGEST}")


def every_page(browser: Browser, demo: Demo) -> None:
    """Each page in each size and theme."""
    link = status_link(demo)
    for size, (width, height) in SIZES.items():
        for theme in THEMES:
            options = {"viewport": {"width": width, "height": height}, "color_scheme": theme}
            opened = visit(browser, demo, "operator", **options)
            for shot in SHOTS:
                shoot(opened.page, demo, shot, f"{size}-{theme}")
            shoot(
                opened.page,
                Demo(demo.process, "", demo.state),
                Shot("status", link, "li"),
                f"{size}-{theme}",
            )
            opened.page.context.close()
            if re.search("Content Security", " ".join(opened.complaints)):
                sys.exit("\n".join(opened.complaints))


FLEET_SHOTS = (
    ("fleet-wall", "/", ".row.group[data-kind=dependency]", "desktop"),
    ("fleet-map", "/map", ".edge", "desktop"),
    ("fleet-timeline", "/timeline?range=1h", "#events tr", "desktop"),
    ("fleet-tv", "/tv", ".tv-row", "desktop"),
    ("fleet-phone", "/", ".row.group[data-kind=dependency]", "phone"),
)


def large_incident(browser: Browser, home: Path) -> None:
    """250 breakers of 30 services while their database is down."""
    home.mkdir()
    with running_site(home, filled=False) as site:
        large_fleet.report(site, incident=False)
        large_fleet.report(site, incident=True, tripped=True)
        for name, path, ready, size in FLEET_SHOTS:
            width, height = SIZES[size]
            page = site.page(browser, viewport={"width": width, "height": height})
            large_fleet.report(site, incident=True)
            page.goto(site.url + path)
            page.wait_for_selector(ready)
            page.wait_for_timeout(1500)
            large_fleet.report(site, incident=True)
            page.wait_for_timeout(1200)
            keep(page, name)
            page.context.close()


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="switchgear-shots-"))
    with (
        running("examples.demo", "--port", "8650", DEMO_DIR=str(home)) as process,
        sync_playwright() as playwright,
    ):
        url = process.line(r"Dashboard\s+(http://\S+)", within_s=60)[1]
        demo = Demo(process, url, home / url.rpartition(":")[2])
        demo.passwords["operator"] = (demo.state / "operator.password").read_text().strip()
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGS)
        door = browser.new_page(viewport={"width": 1440, "height": 900})
        door.goto(url)
        keep(door, "login")
        first = visit(browser, demo, "operator").page
        first.wait_for_timeout(BEFORE_MS)
        force_social_open(first, demo)
        demo.incident("start")
        first.wait_for_timeout(INCIDENT_MS)
        every_page(browser, demo)
        large_incident(browser, home / "large")
        browser.close()


if __name__ == "__main__":
    main()
