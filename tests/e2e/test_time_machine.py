"""The time machine: wall, map and TV at an earlier moment, by scrubber, keys and links."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.dashboard_server import Site, breaker
from tests.examples.running import eventually

WALL_ROW = "#wall .breaker[data-service=then][data-breaker=db]"


@pytest.fixture(scope="module")
def began(site: Site) -> float:
    """When a breaker opened that is closed by now; ten minutes ago, as its agent tells it."""
    changes = [
        {"id": 1, "ago_s": 600.0, "from": "closed", "to": "open", "cause": "5 timeouts in a row"},
        {"id": 2, "ago_s": 300.0, "from": "open", "to": "half_open", "cause": "wait ended"},
        {"id": 3, "ago_s": 299.0, "from": "half_open", "to": "closed", "cause": "test calls"},
    ]
    at = time.time() - 600
    site.report("then", breaker("db", transitions=changes))
    return at


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    page = site.page(browser)
    yield page
    complaints: list[str] = page.complaints  # type: ignore[attr-defined]
    page.context.close()
    assert complaints == []


def test_a_link_shows_the_wall_as_it_was_and_one_key_makes_it_live(
    page: Page, site: Site, began: float
) -> None:
    address = f"{site.url}/?q=service:then&group=none&at={began + 60:.0f}"
    eventually(
        lambda: (
            "5 timeouts" in page.request.get(f"{site.url}/api/v1/moment?at={began + 60}").text()
        ),
        20,
    )
    page.goto(address)
    row = page.locator(WALL_ROW)
    expect(row).to_have_attribute("data-state", "open", timeout=15_000)
    expect(row.locator(".story")).to_contain_text("Failing for 1 min")
    expect(row.locator(".story")).to_contain_text("5 timeouts in a row")
    expect(page.locator("#connection")).to_have_text("Past")
    expect(page.locator("#old-data")).to_be_hidden()
    page.keyboard.press("o")
    expect(page.locator("#act-dialog form")).to_have_count(0)
    assert "at=" in page.url
    page.keyboard.press("l")
    expect(page.locator("#connection")).to_have_text("Live", timeout=15_000)
    expect(row).to_have_attribute("data-state", "closed", timeout=15_000)
    assert "at=" not in page.url
    assert "service%3Athen" in page.url or "service:then" in page.url


def test_the_scrubber_moves_through_an_outage_and_carries_it_to_map_and_tv(
    page: Page, site: Site, began: float
) -> None:
    page.goto(f"{site.url}/?q=service:then&group=none")
    expect(page.locator(WALL_ROW)).to_have_attribute("data-state", "closed", timeout=15_000)
    page.locator("[data-time-machine]").click()
    scrub = page.get_by_label("Moment that is shown")
    expect(scrub).to_be_visible()
    expect(page.locator("#time-machine .lane-bar").first).to_be_attached(timeout=15_000)
    step = float(scrub.get_attribute("step") or 10)
    scrub.fill(str(round((began + 120) / step) * step))
    expect(page.locator(WALL_ROW)).to_have_attribute("data-state", "open", timeout=15_000)
    scrub.press("ArrowLeft")
    expect(page.locator(WALL_ROW).locator(".story")).to_contain_text("Failing for 1 min")
    page.get_by_role("link", name="Map", exact=True).click()
    page.wait_for_url(re.compile(r"/map\?at="))
    expect(page.get_by_role("link", name="then calls db: Open")).to_be_visible(timeout=15_000)
    at = page.url.partition("at=")[2]
    page.goto(f"{site.url}/tv?at={at}")
    expect(page.locator(".tv-row", has_text="then")).to_have_attribute(
        "data-state", "open", timeout=15_000
    )
    page.get_by_role("button", name="Live").click()
    expect(page.locator("#connection")).to_have_text("Live", timeout=15_000)


def test_a_breaker_is_opened_from_the_past_with_the_range_around_it(
    page: Page, site: Site, began: float
) -> None:
    page.goto(f"{site.url}/?q=service:then&group=none&at={began + 60:.0f}")
    expect(page.locator(WALL_ROW)).to_have_attribute("data-state", "open", timeout=15_000)
    page.locator(WALL_ROW).get_by_role("link", name="db").click()
    page.wait_for_url(re.compile(r"from=\d+&to=\d+"))
    expect(page.locator("#span-words")).to_contain_text("Then: ")


def test_before_all_history_it_says_so(page: Page, site: Site, began: float) -> None:
    page.goto(f"{site.url}/?at=2020-01-01T00:00:00Z")
    expect(page.locator("#time-machine")).to_contain_text(
        re.compile("History begins at|Nothing was reported then"), timeout=15_000
    )
