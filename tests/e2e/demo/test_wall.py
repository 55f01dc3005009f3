"""The wall: what it shows, how it is filtered, and that a link brings somebody else to the same."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.demo.conftest import Demo, Visit, visit

ROWS = "#wall .breaker"


def names(page: Page) -> list[str]:
    """The breakers on the screen, from top to bottom."""
    return page.locator(f"{ROWS} .name").all_inner_texts()


def test_each_breaker_tells_its_state_by_shape_word_and_share(operator: Visit) -> None:
    page = operator.page
    expect(page.locator(ROWS)).to_have_count(4)
    page.locator("#group").select_option("service")
    headings = page.locator("#wall .group h2")
    expect(headings).to_have_text(["profile-api", "web"])
    row = page.locator(f"{ROWS}[data-breaker=posts]")
    expect(row.locator(".state b")).to_have_text(re.compile("Closed|Half-open|Open"))
    # In one step, since the state may change at any time.
    both = "row => [row.querySelector('.state use').getAttribute('href'), row.dataset.state]"
    icon, state = row.evaluate(both)
    assert icon == f"#i-{state}"
    # On a busy machine one may have tripped, or calls be lost: "1 open, 3 closed".
    expect(row.locator(".share-words")).to_have_text(re.compile(r"4|\d \S+, .*\d \S+"))
    expect(row.locator("path.calls")).to_have_attribute("d", re.compile("^M0 28L"))
    expect(page.locator("#summary")).to_have_text(
        re.compile(r"^(All 4 breakers closed|\d+ \w+|[\d.]+).* calls/s")
    )


def test_a_filter_narrows_as_it_is_typed_and_travels_in_the_address(
    operator: Visit, browser: Browser, demo: Demo
) -> None:
    page = operator.page
    page.keyboard.press("/")
    page.keyboard.type("service:profile -posts")
    expect(page.locator(ROWS)).to_have_count(2)
    assert set(names(page)) == {"users-db", "social"}
    page.select_option("#sort", "name")
    page.select_option("#group", "none")
    page.select_option("#density", "tiles")
    link = page.url
    assert "q=service" in link

    other = visit(browser, demo, "viewer")
    other.page.goto(link)
    expect(other.page.locator(ROWS)).to_have_count(2)
    expect(other.page.locator("#filter")).to_have_value("service:profile -posts")
    assert names(other.page) == ["social", "users-db"]
    expect(other.page.locator("#density")).to_have_value("tiles")
    expect(other.page.locator("#wall .group")).to_have_count(0)
    assert other.complaints == []
    other.page.context.close()

    page.keyboard.press("Escape")
    page.locator("#filter").fill("")
    expect(page.locator(ROWS)).to_have_count(4)
    assert "q=" not in page.url
    assert operator.complaints == []


def test_an_unknown_filter_is_reported(operator: Visit) -> None:
    page = operator.page
    page.locator("#filter").fill("colour:red posts")
    expect(page.locator("#complaint")).to_contain_text("no “colour:”")
    expect(page.locator(ROWS)).to_have_count(1)
    page.locator("#filter").fill("nobody")
    expect(page.locator("#no-match")).to_be_visible()
    page.get_by_role("button", name="Show them all").click()
    expect(page.locator(ROWS)).to_have_count(4)


def test_a_states_pill_filters_by_it(operator: Visit) -> None:
    page = operator.page
    pill = page.locator(".state-pill[data-state=closed]")
    pill.click()
    expect(page.locator("#filter")).to_have_value("state:closed")
    expect(pill).to_have_attribute("aria-pressed", "true")
    pill.click()
    expect(page.locator("#filter")).to_have_value("")


def test_a_view_is_saved_opened_and_forgotten(operator: Visit) -> None:
    page = operator.page
    page.locator("#filter").fill("social")
    page.locator("#views summary").click()
    page.get_by_label("Name of the view").fill("Only social")
    page.get_by_role("button", name="Save").click()
    view = page.get_by_role("link", name="Only social")
    expect(view).to_be_visible()

    page.goto(page.url.partition("?")[0])
    expect(page.locator(ROWS)).to_have_count(4)
    page.locator("#views summary").click()
    view.click()
    expect(page.locator("#filter")).to_have_value("social")
    expect(page.locator(ROWS)).to_have_count(1)
    page.locator("#views summary").click()
    page.get_by_role("button", name="Forget the view Only social").click()
    expect(view).to_have_count(0)


def test_the_first_view_is_small_and_has_no_charts(browser: Browser, demo: Demo) -> None:
    opened = visit(browser, demo, "viewer")
    page = opened.page
    cdp = page.context.new_cdp_session(page)
    cdp.send("Network.enable")
    cdp.send("Network.setCacheDisabled", {"cacheDisabled": True})
    urls: dict[str, str] = {}
    weight: dict[str, int] = {}
    cdp.on(
        "Network.responseReceived", lambda e: urls.update({e["requestId"]: e["response"]["url"]})
    )
    cdp.on(
        "Network.loadingFinished",
        lambda e: weight.update({e["requestId"]: int(e["encodedDataLength"])}),
    )
    page.goto(demo.url, wait_until="networkidle")
    expect(page.locator(ROWS)).to_have_count(4)
    assert len(weight) > 10
    assert not [url for url in urls.values() if "plotly" in url]
    assert sum(weight.values()) < 200_000, {urls[id]: n for id, n in weight.items()}
    page.context.close()


def test_on_returning_to_a_hidden_page_it_asks_for_a_snapshot(operator: Visit) -> None:
    page = operator.page
    expect(page.locator("#connection")).to_have_text("Live")
    sent = page.evaluate(
        """() => {
             const sent = [];
             const send = WebSocket.prototype.send;
             WebSocket.prototype.send = function (text) { sent.push(text); send.call(this, text); };
             document.dispatchEvent(new Event("visibilitychange"));
             WebSocket.prototype.send = send;
             return sent;
           }"""
    )
    assert [json.loads(each) for each in sent] == [
        {"subscribe": {"services": ["*"], "detail": "wall"}}
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_reduced_motion_disables_animation(browser: Browser, demo: Demo, scheme: str) -> None:
    opened = visit(browser, demo, "viewer", color_scheme=scheme, reduced_motion="reduce")
    moving = opened.page.evaluate(
        """[...document.querySelectorAll("*")].filter((each) => {
             const { transitionDuration, animationName } = getComputedStyle(each);
             return animationName !== "none" || !/^0s(, 0s)*$/.test(transitionDuration);
           }).map((each) => each.className)"""
    )
    assert moving == []
    opened.page.context.close()
