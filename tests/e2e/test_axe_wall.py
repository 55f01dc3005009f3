"""The wall's open parts in both themes, judged by axe: no violation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.dashboard_server import Site, everything
from tests.e2e.test_axe import judged


@pytest.fixture(scope="module")
def wall(browser: Browser, site: Site) -> Iterator[Page]:
    everything(site)
    page = site.page(browser, color_scheme="light", reduced_motion="reduce")
    page.goto(site.url)
    page.wait_for_selector("#connection[data-status=live]")
    yield page
    page.context.close()


def test_no_violation_whatever_is_open(wall: Page) -> None:
    wall.locator(".breaker .pick input").nth(0).click()
    wall.locator(".breaker .pick input").nth(1).click()
    assert judged(wall) == []
    wall.locator("#bulk [data-bulk=force-open]").click()
    wall.wait_for_selector("#act-dialog form")
    wall.locator("#act-dialog footer button").click()
    wall.wait_for_selector("#act-dialog .wrong .error")
    assert judged(wall) == []
    wall.get_by_label("Reason", exact=True).fill("axe has a look")
    wall.locator("#act-dialog footer button").click()
    wall.wait_for_selector(".progress")
    assert judged(wall) == []
    wall.locator(".progress [data-undo]").click()
    wall.locator(".breaker [data-menu]").nth(0).click()
    assert judged(wall) == []
    wall.keyboard.press("Escape")
    wall.keyboard.press("?")
    assert judged(wall) == []
    wall.keyboard.press("Escape")
    wall.locator("#views summary").click()
    assert judged(wall) == []


@pytest.mark.parametrize("density", ["compact", "tiles"])
def test_no_violation_at_any_density(wall: Page, density: str) -> None:
    wall.select_option("#density", density)
    wall.select_option("#group", "state")
    assert judged(wall) == []
