"""A drill on the running shop, from the page to every instance and back to its report."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.demo.conftest import Demo, Visit
from tests.examples.running import eventually


def all_degraded(demo: Demo, kind: str) -> bool:
    return all(kind in each.get("degraded", ()) for each in demo.profiles())


def save(page: Page, demo: Demo, **fields: str) -> None:
    page.goto(f"{demo.url}/drills")
    form = page.locator("form.rule-form")
    for label, value in fields.items():
        form.get_by_label(label.capitalize(), exact=label == "name").first.fill(value)
    form.locator("select[name=kind]").select_option("error")
    form.get_by_role("button", name="Save the drill").click()


def test_errors_are_injected_reported_and_stopped(operator: Visit, demo: Demo) -> None:
    page = operator.page
    save(page, demo, name="no friends", service="profile-api", breaker="social", share="100")
    row = page.locator("#drills tr", has_text="no friends")
    row.get_by_label("Reason").fill("a rehearsal")
    row.get_by_role("button", name="Run no friends").click()
    expect(page.get_by_role("heading", name="no friends")).to_be_visible()
    eventually(lambda: all_degraded(demo, "social"), 20)
    eventually(lambda: _reloaded(page, "4 instances: "), 20)
    page.get_by_role("button", name="Stop now").click()
    expect(page.locator("main")).to_contain_text("Stopped by operator")
    # The breakers of the shop have opened meanwhile, and close again by themselves.
    eventually(
        lambda: not any("social" in each.get("degraded", ()) for each in demo.profiles()), 60
    )
    eventually(lambda: _reloaded(page, "social of profile-api"), 40)
    assert operator.complaints == []


@pytest.mark.usefixtures("hands_off")
def test_the_kill_path_is_drilled_and_names_how_soon_each_obeys(
    operator: Visit, demo: Demo
) -> None:
    page = operator.page
    page.goto(f"{demo.url}/drills")
    page.get_by_role("button", name="Drill the kill path of profile-api").click()
    row = page.locator("#kill-path tbody tr", has_text="profile-api")
    # The page follows the answers by itself.
    expect(row).to_contain_text("4 of 4")
    expect(row.locator("td").nth(4)).to_have_text(re.compile(r"^[0-9.]+ s$"))
    expect(row.locator("td").nth(5)).to_have_text("–")
    assert operator.complaints == []


def _reloaded(page: Page, text: str) -> bool:
    page.reload()
    return text in page.locator("main").inner_text()
