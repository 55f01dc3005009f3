"""Journeys: two operators on one breaker, a wall display opened late, a lost connection, a large
incident."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e import large_fleet
from tests.e2e.dashboard_server import Site, breaker, running_site

DB = "/services/api/breakers/db"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("large"), filled=False) as site:
        large_fleet.report(site, incident=False)
        large_fleet.report(site, incident=True, tripped=True)
        yield site


def test_two_operators_see_each_others_acts_in_an_open_dialog(browser: Browser, site: Site) -> None:
    site.report("api", breaker("db"))
    first, second = site.page(browser, "operator"), site.page(browser, "admin")
    for page in (first, second):
        page.goto(site.url + DB)
        expect(page.locator("[data-primary]")).to_be_visible()
    assert second.locator(".more-acts a[data-act=automatic]").is_hidden()
    here = first.locator("#breaker > [data-presence]")
    expect(here).to_have_text("Also here: admin is looking at it", timeout=15_000)
    second.keyboard.press("c")
    expect(here).to_have_text("Also here: admin has “Force closed” open", timeout=15_000)
    standing = second.locator("#act-dialog [data-standing]")
    expect(second.locator("#act-dialog form")).to_be_visible()
    expect(standing).to_be_hidden()
    first.keyboard.press("o")
    expect(first.locator("#act-dialog [data-presence]")).to_contain_text("admin has “Force closed”")
    first.get_by_label("Reason").fill("INC-300")
    first.locator("#act-dialog").get_by_role("button", name="Force open").click()
    expect(standing).to_contain_text(
        re.compile(r"Forced open by operator \d+ s ago \(“INC-300”\); yours replaces it"),
        timeout=15_000,
    )
    second.get_by_label("Reason").fill("let it through")
    second.locator("#act-dialog").get_by_role("button", name="Force closed").click()
    expect(first.locator(".progress")).to_contain_text(
        "Replaced by admin (Forced closed)", timeout=15_000
    )
    expect(second.locator(".more-acts a[data-act=automatic]")).not_to_have_attribute("hidden", "")
    second.keyboard.press("a")
    second.get_by_label("Reason").fill("over")
    second.locator("#act-dialog").get_by_role("button", name="Back to automatic").click()
    for page in (first, second):
        page.context.close()


def test_an_act_that_cannot_be_sent_stays_and_is_retried(browser: Browser, site: Site) -> None:
    site.report("api", breaker("db"))
    page = site.page(browser)
    page.goto(site.url + DB)
    expect(page.locator("[data-primary]")).to_be_visible()
    page.context.set_offline(True)
    page.locator("[data-primary]").click()
    dialog = page.locator("#act-dialog")
    expect(dialog).to_contain_text("Not sent")
    assert page.url.endswith(DB)
    page.context.set_offline(False)
    dialog.get_by_role("button", name="Retry").click()
    expect(dialog.get_by_label("Reason")).to_be_visible()
    page.context.close()


def test_a_wall_display_opened_late_tells_the_outage_from_its_beginning(
    browser: Browser, site: Site
) -> None:
    site.report("late", breaker("slow", "open", since_s=370.0, cause="5 timeouts in a row"))
    page = site.page(browser)
    page.goto(f"{site.url}/services/late/breakers/slow")
    expect(page.locator("[data-f=story]")).to_contain_text(
        re.compile(r"Failing for 6 min · since \d\d:\d\d · 5 timeouts in a row")
    )
    page.goto(f"{site.url}/tv")
    row = page.locator(".tv-row", has_text="late")
    expect(row.locator("[data-f=since]")).to_have_text("6 min")
    page.context.close()


def test_every_open_breaker_or_its_fold_is_on_the_first_screen(
    browser: Browser, large: Site
) -> None:
    page = large.page(browser)
    large_fleet.report(large, incident=True)
    page.goto(large.url)
    fold = page.locator(".row.group[data-kind=dependency]")
    expect(fold).to_contain_text("postgres")
    expect(fold).to_contain_text("open in 18 of 19 services")
    rows = page.locator(".row.breaker[data-state=open]")
    expect(rows).to_have_count(len(large_fleet.CASCADE))
    for each in [fold, *rows.all()]:
        box = each.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 900
    page.keyboard.press("t")
    expect(page.locator("#wall")).to_have_attribute("data-density", "tiles")
    page.keyboard.press("t")
    fold.get_by_role("button", name="Choose all 18").click()
    page.locator("#bulk").get_by_role("button", name="Force open").click()
    dialog = page.locator("#act-dialog")
    expect(dialog.locator("[data-confirm]")).to_contain_text("Type 18 (breakers)")
    dialog.get_by_label("Reason").fill("the database is down")
    dialog.locator("footer").get_by_role("button", name="Force open").click()
    expect(dialog.locator(".error")).to_contain_text("Type 18 (breakers)")
    page.context.close()


def test_the_phone_shows_an_incident_in_three_screens(browser: Browser, large: Site) -> None:
    page = large.page(browser, viewport={"width": 390, "height": 844})
    page.goto(f"{large.url}/services/orders/breakers/postgres")
    expect(page.locator("[data-primary]")).to_be_visible()
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollHeight") <= 3 * 844
    stats, acts = (
        page.locator(".stats").bounding_box(),
        page.locator(".acts-row").first.bounding_box(),
    )
    assert stats is not None
    assert acts is not None
    assert stats["y"] < acts["y"]
    page.context.close()


def test_tab_reaches_the_rows_in_forced_colours(browser: Browser, large: Site) -> None:
    page = large.page(browser, forced_colors="active")
    page.goto(large.url)
    expect(page.locator(".row.breaker").first).to_be_visible()
    reached = False
    for _ in range(40):
        page.keyboard.press("Tab")
        reached = page.evaluate("document.activeElement.classList.contains('breaker')")
        if reached:
            break
    assert reached
    seen = page.locator(".row.breaker .share i").first.evaluate(
        "el => [el, document.body].map((each) => getComputedStyle(each).backgroundColor)"
    )
    assert seen[0] != seen[1]
    page.context.close()


def test_the_pages_of_an_incident_have_no_console_errors(browser: Browser, large: Site) -> None:
    page = large.page(browser)
    for path in ("/map", "/timeline", "/glossary", "/services/orders"):
        page.goto(large.url + path)
        page.wait_for_timeout(300)
    assert page.complaints == []  # type: ignore[attr-defined]
    page.context.close()
