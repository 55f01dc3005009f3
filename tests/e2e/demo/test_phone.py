"""The wall on a phone: from the login page to a confirmed trip in four taps and a reason."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.e2e.demo.conftest import Demo

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
THUMB = 44


@pytest.mark.usefixtures("hands_off")
def test_from_the_login_page_to_a_confirmed_trip(browser: Browser, demo: Demo) -> None:
    context = browser.new_context(**PHONE)
    context.set_default_timeout(15_000)
    page = context.new_page()
    taps = 0

    def tap(what: Locator) -> None:
        nonlocal taps
        taps += 1
        box = what.bounding_box()
        assert box
        assert box["height"] >= THUMB
        what.tap()

    page.goto(demo.url)
    # A password manager fills these in.
    page.get_by_label("Name").fill("operator")
    page.get_by_label("Password").fill(demo.passwords["operator"])
    page.get_by_role("button", name="Log in").tap()

    row = page.locator("#wall .breaker[data-breaker=social]")
    expect(row).to_have_attribute("data-state", "closed", timeout=30_000)
    tap(row.locator("[data-menu]"))
    tap(page.locator("#row-menu a[data-act=force-open]"))
    reason = page.get_by_label("Reason", exact=True)
    expect(reason).to_be_focused()
    page.keyboard.type("from bed")
    confirm = page.locator("#act-dialog footer button")
    box = confirm.bounding_box()
    assert box
    assert box["y"] > 844 / 2  # where the thumb is
    tap(confirm)
    expect(row).to_have_attribute("data-state", "forced_open", timeout=10_000)
    expect(page.locator(".progress")).to_contain_text("Confirmed by all 4", timeout=10_000)
    assert taps + 1 <= 4  # and the one at the login page

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(".progress").get_by_role("button", name="Undo").tap()
    expect(row.locator(".story.override")).to_have_count(0, timeout=10_000)
    context.close()
