"""Acts in place: on several breakers, on some instances; how far they go and got; undo."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.demo.conftest import Demo, Visit
from tests.examples.running import eventually

ROW = "#wall .breaker[data-breaker='{}']"


pytestmark = pytest.mark.usefixtures("hands_off")


def choose(page: Page, *names: str, shift: bool = False) -> None:
    for name in names:
        page.locator(ROW.format(name)).locator(".pick input").click(
            modifiers=["Shift"] if shift else []
        )


def settle(page: Page) -> None:
    """Nobody's hand is on anything."""
    expect(page.locator("#wall .story.override")).to_have_count(0, timeout=15_000)
    expect(page.locator("#wall .breaker[data-state=closed]")).to_have_count(4, timeout=30_000)


def test_two_are_forced_watched_until_all_confirm_and_undone(operator: Visit, demo: Demo) -> None:
    page = operator.page
    settle(page)
    page.select_option("#sort", "name")
    choose(page, "posts")
    expect(page.locator("#bulk")).to_contain_text("1 chosen of 1 service")
    choose(page, "social", shift=True)
    expect(page.locator("#bulk")).to_contain_text("2 chosen of 1 service")
    page.locator("#bulk [data-bulk=force-open]").click()
    dialog = page.locator("#act-dialog")
    expect(dialog).to_contain_text("2 breakers: posts of profile-api, social of profile-api")
    reach = dialog.locator(".reach").first
    expect(reach).to_have_text(re.compile(r"Blocks [\d.]+ calls/s from 4 instances of 1 service\."))

    dialog.get_by_label("Reason", exact=True).fill("both at once")
    dialog.get_by_role("button", name="Force open").click()
    expect(dialog).to_be_hidden()
    expect(page.locator("#bulk")).to_be_hidden()
    progress = page.locator(".progress")
    expect(progress).to_contain_text("Confirmed by all 8 instances", timeout=10_000)
    for name in ("posts", "social"):
        expect(page.locator(ROW.format(name))).to_have_attribute("data-state", "forced_open")
    eventually(lambda: all("social" in each["degraded"] for each in demo.profiles()), 2)

    progress.get_by_role("button", name="Undo").click()
    expect(page.locator(".progress")).to_contain_text("Undo: Force open")
    expect(page.locator(".progress")).to_contain_text("Confirmed by all 8", timeout=10_000)
    settle(page)
    assert operator.complaints == []


def test_one_instance_alone_is_forced_and_the_others_go_on(operator: Visit) -> None:
    page = operator.page
    settle(page)
    row = page.locator(ROW.format("social"))
    row.locator("[data-menu]").click()
    page.locator("#row-menu a[data-act=force-closed]").click()
    dialog = page.locator("#act-dialog")
    dialog.get_by_label(re.compile("^Some instances")).check()
    dialog.locator("input[name=instances]").first.check()
    expect(dialog).to_contain_text(re.compile(r"About [\d.]+ calls/s from 1 of 4 instances"))
    expect(dialog.locator(".recent")).to_contain_text("both at once")
    dialog.locator("[data-reason]").first.click()
    dialog.get_by_role("button", name="Force closed").click()
    expect(row.locator(".story")).to_contain_text("in force on its instance", timeout=10_000)
    expect(row.locator(".share-words")).to_have_text(re.compile("1 forced closed, 3 closed"))
    page.locator(".progress").get_by_role("button", name="Undo").click()
    settle(page)


def test_a_repeated_act_id_is_performed_once(operator: Visit, demo: Demo) -> None:
    page = operator.page
    settle(page)
    csrf = next(c["value"] for c in page.context.cookies() if c["name"] == "csrftoken")
    form = {
        "csrfmiddlewaretoken": csrf,
        "targets": '[["profile-api","social"]]',
        "act_id": "twice-is-once",
        "reason": "a flaky network",
        "expires_in": "900",
    }
    url = f"{demo.url}/acts/metrics-only"
    headers = {"X-Requested-With": "fetch"}
    answers = [page.request.post(url, form=form, headers=headers).json() for _ in range(2)]
    assert answers[0] == answers[1]
    page.request.post(f"{demo.url}/acts/twice-is-once/undo", form={"csrfmiddlewaretoken": csrf})
    settle(page)
