"""Every page, judged by axe in both themes, and as wide as a phone at most."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.e2e.dashboard_server import HOSTILE, Site, everything
from tests.examples.running import eventually

PAGES = {
    "wall": "/",
    "breaker": "/services/api/breakers/posts",
    "hostile": f"/services/api/breakers/{quote(quote(HOSTILE, safe=''), safe='')}",
    "act": "/services/api/breakers/posts/force-open",
    "service": "/services/api",
    "map": "/map",
    "timeline": "/timeline",
    "custom": "/timeline?range=custom",
    "incidents": "/incidents",
    "rules": "/alerts",
    "silences": "/silences",
    "drills": "/drills",
    "in-force": "/in-force",
    "tokens": "/tokens",
    "device": "/device",
    "sessions": "/sessions",
    "approvals": "/approvals",
    "audit": "/audit",
    "policy": "/services/api/breakers/posts/policy",
    "policies": "/policies",
    "findings": "/policies/overview",
    "tv": "/tv",
    "then": "/?at=2026-01-01T00:00:00Z",
    "tv-then": "/tv?at=2026-01-01T00:00:00Z",
    "dependencies": "/?group=dependency",
    "glossary": "/glossary",
    "styleguide": "/styleguide",
    "offline": "/offline",
    "gone": "/status/nonsense",
}


# What else axe judges is the same in both themes.
OF_COLOUR = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
PHONE_PX = 390
# Colours change by transitions. One whose element is no longer drawn never says that it ended.
STILL = """() => document.getAnimations()
  .filter((each) => each instanceof CSSTransition).forEach((each) => each.finish())"""


@pytest.fixture(scope="module")
def page(browser: Browser, site: Site) -> Iterator[Page]:
    everything(site)
    page = site.page(browser, color_scheme="light", reduced_motion="reduce")
    yield page
    page.context.close()


def violations(page: Page, options: dict[str, Any] | None = None) -> list[str]:
    """What axe finds wrong, with where and why."""
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{each['id']}: {node['target']} {node['html'][:120]} {node.get('failureSummary')}"
        for each in found
        for node in each["nodes"]
    ]


def judged(page: Page) -> list[str]:
    """What axe finds wrong in the light theme, then in the dark one."""
    light = violations(page)
    page.emulate_media(color_scheme="dark")
    page.evaluate(STILL)
    dark = violations(page, OF_COLOUR)
    page.emulate_media(color_scheme="light")
    page.evaluate(STILL)
    return light + [f"dark: {each}" for each in dark]


ADMIN_PAGES = {
    "index": "/admin/",
    "policies": "/admin/policies/breakerpolicy/",
    "policy": "/admin/policies/breakerpolicy/1/change/",
    "history": "/admin/policies/breakerpolicy/1/history/",
    "people": "/admin/access/person/",
    "audit": "/admin/access/auditentry/",
    "token": "/admin/access/servicetoken/add/",
}


def test_the_admin_has_no_violation_and_the_same_shell(browser: Browser, site: Site) -> None:
    page = site.page(browser, "admin", color_scheme="light", reduced_motion="reduce")
    found = {}
    for name, path in ADMIN_PAGES.items():
        answer = page.goto(site.url + path)
        assert answer is not None, path
        assert answer.status == 200, path
        assert page.locator("header.bar nav a").first.inner_text() == "Wall"
        # Empty heads are of the inline tables that Django renders itself.
        found[name] = [each for each in judged(page) if not each.startswith("empty-table-header")]
    page.context.close()
    assert {name: each for name, each in found.items() if each} == {}


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_no_violation_and_no_wider_than_a_phone(page: Page, site: Site, path: str) -> None:
    page.goto(site.url + path)
    page.wait_for_load_state("networkidle")
    if path.endswith("/posts"):
        page.wait_for_selector("#chart-states .main-svg")
        for toggle in page.locator(".table-toggle").all()[:2]:
            toggle.click()
    if path == "/map":
        page.locator(".as-table summary").click()
    assert judged(page) == []
    desk = page.viewport_size
    assert desk
    page.set_viewport_size({"width": PHONE_PX, "height": 844})
    # Charts follow in their next frame.
    eventually(lambda: page.evaluate("document.documentElement.scrollWidth") <= PHONE_PX, 5)
    page.set_viewport_size(desk)


def test_no_violation_before_login_and_behind_a_link(site: Site, browser: Browser) -> None:
    stranger = browser.new_page(color_scheme="light", reduced_motion="reduce")
    for url in (f"{site.url}/login", site.status_link()):
        stranger.goto(url)
        assert judged(stranger) == []
    stranger.close()
