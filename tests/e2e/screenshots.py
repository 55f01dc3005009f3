"""Writes docs/images: every page under a running incident, desktop and phone, light and dark.

`make screenshots` runs it; it starts its own demo and stops it.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.e2e.conftest import CHROMIUM_ARGS, Demo, chromium, visit
from tests.examples.running import ROOT, running

SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
IMAGES = ROOT / "docs/images"


def force_social_open(page: Page, demo: Demo) -> None:
    """So that an override is on the wall too."""
    page.goto(f"{demo.url}/services/profile-api/breakers/social/force-open")
    page.get_by_label("Reason").fill("social is flaky since the deploy, INC-247")
    page.get_by_role("button", name="Force open").click()


def shoot(page: Page, demo: Demo, name: str) -> None:
    """The pages, as they are now."""
    posts = f"{demo.url}/services/profile-api/breakers/posts"
    page.goto(demo.url)
    page.wait_for_selector(".breaker[data-breaker=posts][data-state=open]")
    page.wait_for_timeout(1500)
    page.screenshot(path=IMAGES / f"wall-{name}.png")
    page.locator(".breaker[data-breaker=posts] [data-menu]").click()
    page.locator("#row-menu a[data-act=force-open]").click()
    page.wait_for_selector("#act-dialog form")
    page.screenshot(path=IMAGES / f"act-{name}.png")
    page.goto(posts)
    page.wait_for_selector("#chart-states .main-svg")
    page.wait_for_timeout(1500)
    page.screenshot(path=IMAGES / f"breaker-{name}.png", full_page=True)


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
        login = browser.new_page(viewport={"width": 1440, "height": 900})
        login.goto(url)
        login.screenshot(path=IMAGES / "login.png")
        first = visit(browser, demo, "operator").page
        first.wait_for_timeout(45_000)
        force_social_open(first, demo)
        demo.incident("start")
        first.wait_for_timeout(40_000)
        for size, (width, height) in SIZES.items():
            for theme in ("light", "dark"):
                viewport = {"width": width, "height": height}
                opened = visit(browser, demo, "operator", viewport=viewport, color_scheme=theme)
                shoot(opened.page, demo, f"{size}-{theme}")
                if re.search("Content Security", " ".join(opened.complaints)):
                    sys.exit("\n".join(opened.complaints))
                opened.page.context.close()
        browser.close()


if __name__ == "__main__":
    main()
