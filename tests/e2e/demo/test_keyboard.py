"""The wall without a mouse."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.demo.conftest import Demo, Visit

FOCUSED = "#wall .breaker:focus"


@pytest.mark.usefixtures("hands_off")
def test_from_search_to_a_confirmed_act_and_back(operator: Visit, demo: Demo) -> None:
    page = operator.page
    keys = page.keyboard
    expect(page.locator("#wall .breaker")).to_have_count(4)
    keys.press("?")
    expect(page.get_by_role("dialog", name="Keys and filters")).to_be_visible()
    keys.press("Escape")
    expect(page.get_by_role("dialog", name="Keys and filters")).to_be_hidden()

    keys.press("/")
    expect(page.locator("#filter")).to_be_focused()
    keys.type("service:profile")
    expect(page.locator("#wall .breaker")).to_have_count(3)
    keys.press("Tab")  # letters are letters inside of the field
    page.locator("#main").focus()
    keys.press("j")
    first = page.locator(FOCUSED).get_attribute("data-breaker")
    keys.press("j")
    second = page.locator(FOCUSED).get_attribute("data-breaker")
    assert first
    assert second
    assert first != second
    keys.press("k")
    expect(page.locator(FOCUSED)).to_have_attribute("data-breaker", first)

    keys.press("x")
    keys.press("j")
    keys.press("x")
    expect(page.locator("#wall [aria-selected=true]")).to_have_count(2)
    keys.press("m")
    dialog = page.locator("#act-dialog")
    expect(dialog.get_by_label("Reason", exact=True)).to_be_focused()
    keys.type("by hand")
    keys.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator(".progress")).to_contain_text("Confirmed by all 8", timeout=10_000)
    keys.press("u")
    expect(page.locator("#wall .story.override")).to_have_count(0, timeout=10_000)

    keys.press("Escape")
    expect(page.locator("#filter")).to_have_value("")
    keys.press("End")
    last = page.locator(FOCUSED).get_attribute("data-breaker")
    keys.press("Enter")
    page.wait_for_url(re.compile(f"/breakers/{last}$"))
    assert operator.complaints == []


def test_shortcuts_of_acts_are_disabled_for_viewers(viewer: Visit) -> None:
    page = viewer.page
    expect(page.locator("#wall .breaker")).to_have_count(4)
    for key in ("j", "x", "o", "c", "a"):
        page.keyboard.press(key)
    expect(page.locator("#wall [aria-selected=true]")).to_have_count(0)
    expect(page.locator("dialog[open]")).to_have_count(0)
