"""Every page in both themes, judged by axe: no violation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.e2e.dashboard_server import HOSTILE, Site, everything

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
    "policy": "/services/api/breakers/posts/policy",
    "policies": "/policies",
    "findings": "/policies/overview",
    "tv": "/tv",
    "styleguide": "/styleguide",
    "offline": "/offline",
    "gone": "/status/nonsense",
}


@pytest.fixture(scope="module", params=["light", "dark"])
def page(browser: Browser, site: Site, request: pytest.FixtureRequest) -> Iterator[Page]:
    everything(site)
    page = site.page(browser, color_scheme=request.param)
    yield page
    page.context.close()


def judged(page: Page) -> list[str]:
    """What axe finds wrong, with where and why."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['target']} {node['html'][:120]} {node.get('failureSummary')}"
        for each in found
        for node in each["nodes"]
    ]


ADMIN_PAGES = {
    "index": "/admin/",
    "policies": "/admin/policies/breakerpolicy/",
    "policy": "/admin/policies/breakerpolicy/1/change/",
    "history": "/admin/policies/breakerpolicy/1/history/",
    "people": "/admin/access/person/",
    "audit": "/admin/access/auditentry/",
    "token": "/admin/access/servicetoken/add/",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_admin_has_no_violation_and_the_same_shell(
    browser: Browser, site: Site, scheme: Any
) -> None:
    page = site.page(browser, "admin", color_scheme=scheme)
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
def test_no_violation(page: Page, site: Site, path: str) -> None:
    page.goto(site.url + path)
    page.wait_for_load_state("networkidle")
    if path.endswith("/posts"):
        page.wait_for_selector("#chart-states .main-svg")
        for toggle in page.locator(".table-toggle").all()[:2]:
            toggle.click()
    if path == "/map":
        page.locator(".as-table summary").click()
    assert judged(page) == []


def test_no_violation_before_login_and_behind_a_link(
    page: Page, site: Site, browser: Browser
) -> None:
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    stranger = browser.new_page(color_scheme="dark" if dark else "light")
    for url in (f"{site.url}/login", site.status_link()):
        stranger.goto(url)
        assert judged(stranger) == []
    stranger.close()


def test_nothing_is_wider_than_a_phone(browser: Browser, site: Site) -> None:
    page = site.page(browser, "admin", viewport={"width": 390, "height": 844})
    for name, path in PAGES.items():
        page.goto(site.url + path)
        page.wait_for_load_state("networkidle")
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, (name, width)
    page.context.close()
