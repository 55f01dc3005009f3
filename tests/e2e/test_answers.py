"""What is broken, since when, why, who is affected, what can I do: each answer is right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.dashboard_server import Site, breaker
from tests.examples.running import eventually, http

LATE_MS = 30_000
NOTHING = {"buckets": {}, "sum_s": 0.0}
ONE = {"buckets": {"-36": 1}, "sum_s": 0.1}


@pytest.fixture(scope="module")
def fleet(site: Site) -> Site:
    """A service of one instance that fell silent, and one with a word for each wrong answer."""
    site.report("asleep", breaker("posts"))
    site.stop_reporting("asleep", "one")
    site.report("half", breaker("mail"), instance="gone")
    site.stop_reporting("half", "gone")
    return site


@pytest.fixture
def page(browser: Browser, fleet: Site) -> Iterator[Page]:
    page = fleet.page(browser)
    yield page
    page.context.close()


def _change(id: int, ago_s: float, before: str, after: str) -> dict[str, Any]:
    return {"id": id, "ago_s": ago_s, "from": before, "to": after, "cause": "5 timeouts in a row"}


def row(page: Page, service: str, name: str) -> str:
    return f".breaker[data-service='{service}'][data-breaker='{name}']"


def test_failed_and_refused_are_different_figures_and_latency_says_of_what_it_is(
    page: Page, fleet: Site
) -> None:
    fleet.report(
        "figures", breaker("db", "open", was="closed", counts={"rejected": 410}, histogram=NOTHING)
    )
    fleet.report("figures", breaker("db", "half_open", was="open", counts={}, histogram=NOTHING))
    failed = {"counts": {"failure": 1, "rejected": 410}, "histogram": ONE}
    fleet.report("figures", breaker("db", "open", was="half_open", **failed))
    page.goto(f"{fleet.url}/services/figures/breakers/db")
    expect(page.locator("[data-f=refused]")).to_have_text(re.compile(r"\d+(\.\d)?/s"))
    expect(page.locator("[data-f=failed]")).to_have_text(re.compile(r"1 of 1"))
    expect(page.locator("[data-f=tests]")).to_have_text(re.compile(r"0 of \d+ ok"))
    expect(page.locator("[data-f=p99]").locator("..")).to_contain_text("of test calls")


def test_a_single_failure_is_told_as_one_of_one_and_raises_no_alarm(
    page: Page, fleet: Site
) -> None:
    once = {"counts": {"failure": 1}, "histogram": ONE}
    fleet.report("single", breaker("rare", **once))
    page.goto(f"{fleet.url}/?q=service:single&group=none")
    found = page.locator(row(page, "single", "rare"))
    expect(found.locator("[data-f=failed]")).to_have_text("1 of 1")
    expect(found).to_have_attribute("data-condition", "closed")
    assert "bad" not in (found.locator("[data-f=failed]").get_attribute("class") or "")


def test_forced_closed_while_every_call_fails_looks_and_ranks_worst(
    page: Page, fleet: Site
) -> None:
    failing = {"counts": {"failure": 60}, "histogram": {"buckets": {"-36": 60}, "sum_s": 3.0}}
    fleet.report(
        "rank",
        breaker("danger", "forced_closed", **failing),
        breaker("calm", "forced_closed"),
        breaker("broken", "open"),
    )
    page.goto(f"{fleet.url}/?q=service:rank&group=none")
    danger = page.locator(row(page, "rank", "danger"))
    expect(danger).to_have_attribute("data-condition", "unprotected")
    expect(danger.locator(".state")).to_contain_text("Forced closed, failing")
    expect(page.locator("#wall .breaker").first).to_have_attribute("data-breaker", "danger")
    colours = [
        page.locator(f"{row(page, 'rank', name)} .state svg").evaluate(
            "el => getComputedStyle(el).color"
        )
        for name in ("danger", "calm")
    ]
    assert colours[0] != colours[1]


def test_an_override_on_some_instances_says_what_else_ends(page: Page, fleet: Site) -> None:
    for name in ("one", "two", "three"):
        fleet.report("some", breaker("db"), instance=name)
    page.goto(f"{fleet.url}/services/some/breakers/db")
    page.keyboard.press("o")
    page.get_by_label("Reason").fill("INC-301")
    page.locator("#act-dialog footer").get_by_role("button", name="Force open").click()
    expect(page.locator("#act-dialog")).to_be_hidden()
    for name in ("one", "two", "three"):
        fleet.report("some", breaker("db", "forced_open", was="closed"), instance=name)
    expect(page.locator("#instances [data-state=forced_open]")).to_have_count(3)
    page.keyboard.press("c")
    dialog = page.locator("#act-dialog")
    dialog.get_by_text("Some instances").click()
    dialog.locator("footer").get_by_role("button", name="Force closed").click()
    expect(dialog.locator(".scopes .error")).to_have_text("Choose at least one instance.")
    dialog.locator("input[name=instances][value=one]").check()
    expect(dialog.locator(".scopes .error")).to_have_count(0)
    expect(dialog.locator("[data-standing]")).to_contain_text(
        re.compile(r"yours replaces it\. It also ends on (three, two|two, three), which return")
    )
    dialog.locator("input[name=instances][value=two]").check()
    expect(dialog.locator("[data-standing]")).to_contain_text("It also ends on three, which")
    page.keyboard.press("Escape")


def test_a_large_reach_on_some_instances_is_typed_too(page: Page, fleet: Site) -> None:
    many = {"counts": {"success": 60_000}, "histogram": {"buckets": {"-36": 60_000}, "sum_s": 90.0}}
    for name in ("one", "two"):
        fleet.report("busy", breaker("db", **many), instance=name)
    page.goto(f"{fleet.url}/services/busy/breakers/db")
    expect(page.locator("[data-f=rate]")).to_have_text(re.compile(r"^\d{1,2},?\d{3}$"))
    page.keyboard.press("o")
    dialog = page.locator("#act-dialog")
    dialog.get_by_text("Some instances").click()
    dialog.locator("input[name=instances][value=one]").check()
    confirm = dialog.locator("[data-confirm]")
    expect(confirm).to_be_visible()
    dialog.get_by_label("Reason").fill("too much")
    dialog.locator("footer").get_by_role("button", name="Force open").click()
    expect(confirm.locator(".error")).to_contain_text("to confirm")
    expect(dialog.locator(".effect").locator("..")).to_contain_text(
        "Whether callers have a fallback is not known"
    )


def test_instances_that_cannot_be_reached_are_counted_apart(page: Page, fleet: Site) -> None:
    fleet.report("half", breaker("mail"), instance="here")
    page.goto(f"{fleet.url}/services/half/breakers/mail")
    expect(page.locator("#instances [data-state=stale]")).to_have_count(1, timeout=60_000)
    page.keyboard.press("m")
    page.get_by_label("Reason").fill("watch it")
    page.locator("#act-dialog footer").get_by_role("button", name="Monitor only").click()
    expect(page.locator("#act-dialog")).to_be_hidden()
    fleet.report(
        "half", breaker("mail", "metrics_only", was="closed"), instance="here", revision=10**6
    )
    expect(page.locator(".progress")).to_contain_text("1 confirmed, 1 not reachable")


def test_a_caller_that_is_not_heard_of_is_unknown_on_the_map(page: Page, fleet: Site) -> None:
    page.goto(f"{fleet.url}/map?q=asleep")
    node = page.locator(".service-node", has_text="asleep")
    expect(node).to_have_attribute("data-state", "stale", timeout=60_000)
    expect(node).to_contain_text("none of 1 heard of")
    expect(page.locator("#map-summary")).to_contain_text("1 dependency of 1 service")


def test_charts_draw_a_changed_policy_as_a_step_and_line_up(
    browser: Browser, page: Page, fleet: Site
) -> None:
    fleet.report("steps", breaker("db", policy={"timeout": 0.5}))
    editor = fleet.page(browser, "admin")
    editor.goto(f"{fleet.url}/services/steps/breakers/db/policy")
    editor.locator("input[name=timeout]").fill("250 ms")
    editor.locator("[name=reason]").first.fill("too slow")
    editor.locator("button[value=save]").first.click()
    expect(editor.get_by_label("Timeout", exact=True)).to_have_value("250 ms")
    editor.context.close()

    def steps() -> list[float]:
        page.goto(f"{fleet.url}/services/steps/breakers/db?range=5m")
        page.wait_for_selector("#chart-latency .main-svg")
        found: list[float] = page.evaluate(
            """() => document.getElementById("chart-latency").data
                .find((each) => each.name === "timeout")?.y ?? []"""
        )
        return found

    eventually(lambda: steps()[:2] == [500, 250], 30)
    page.wait_for_selector("#chart-states .main-svg")
    sides = page.evaluate(
        """["rate", "latency", "heat", "states"].map((name) =>
            document.getElementById(`chart-${name}`)._fullLayout._size.l)"""
    )
    assert len(set(sides)) == 1, sides
    expect(page.locator("#chart-markers")).to_contain_text("Policy of")
    expect(page.locator("#span-words")).to_have_text("Up to now")
    page.get_by_role("button", name="Earlier").click()
    expect(page.locator("#span-words")).to_contain_text("Then: ")
    expect(page.locator(".now-words")).to_be_visible()


def test_one_crosshair_runs_through_all_charts(page: Page, fleet: Site) -> None:
    page.goto(f"{fleet.url}/services/api/breakers/posts")
    page.wait_for_selector("#chart-states .main-svg")
    page.locator("#chart-rate").hover(position={"x": 300, "y": 90})
    expect(page.locator(".crosshair:visible")).to_have_count(4)
    expect(page.locator("#chart-rate + .crosshair")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
    page.locator("h1").hover()
    expect(page.locator(".crosshair:visible")).to_have_count(0)


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("/", "#wall .breaker"),
        ("/services/api/breakers/posts", ".stats"),
        ("/timeline", ".events tr"),
    ],
)
def test_the_first_page_on_paper_has_the_answer_and_the_zone(
    page: Page, fleet: Site, path: str, first: str
) -> None:
    page.set_viewport_size({"width": 760, "height": 1060})
    page.goto(fleet.url + path)
    expect(page.locator(first).first).to_be_visible(timeout=LATE_MS)
    page.emulate_media(media="print")
    box = page.locator(first).first.bounding_box()
    assert box is not None
    assert box["y"] + min(box["height"], 40) < 900
    expect(page.locator(".zone-note")).to_be_visible()
    page.emulate_media(media="screen")


def test_exports_have_outages_and_transitions(page: Page, fleet: Site) -> None:
    fleet.report("exported", breaker("db", "open", was="closed"))
    query = "range=1h&service=exported"
    export = f"{fleet.url}/timeline.csv?{query}"

    def kinds() -> set[str]:
        text = page.request.get(export).text()
        return {line.split(",")[2] for line in text.splitlines()[1:]}

    eventually(lambda: {"outage", "transition"} <= kinds(), 20)


def test_a_long_outage_with_many_test_calls_is_one_row_of_the_timeline(
    page: Page, fleet: Site
) -> None:
    """Ten minutes with a test call each ten seconds, told as an agent that was offline tells it."""
    changes = [_change(1, 600.0, "closed", "open")]
    for n in range(59):
        ago = 590.0 - 10 * n
        changes.append(_change(2 + 2 * n, ago, "open", "half_open"))
        changes.append(_change(3 + 2 * n, ago - 0.1, "half_open", "open"))
    changes += [_change(200, 1.0, "open", "half_open"), _change(201, 0.5, "half_open", "closed")]
    for at in range(0, len(changes), 60):
        state = "closed" if at + 60 >= len(changes) else "open"
        fleet.report("long", breaker("db", state, transitions=changes[at : at + 60]))
    page.goto(f"{fleet.url}/timeline?range=1h&service=long&kind=outage&kind=transition")
    line = page.locator("#events tr")
    expect(line).to_have_count(1, timeout=LATE_MS)
    expect(line).to_contain_text("Open for", timeout=LATE_MS)
    expect(line).to_contain_text("59 test calls failed")
    line.get_by_role("button", name="Show transitions").click()
    expect(page.locator("#events tr.part").first).to_be_visible()


def test_names_are_isolated_and_shortened_in_the_middle(page: Page, fleet: Site) -> None:
    arabic, long = "دفع-api", "checkout-payments-gateway-eu-west-1-" + "x" * 40 + "-replica"
    fleet.report("names", breaker(arabic), breaker(long))
    page.goto(f"{fleet.url}/?q=service:names&group=none")
    link = page.locator("#wall .breaker a.name", has_text="-replica")
    expect(link).to_have_attribute("title", re.compile(re.escape(long)))
    assert link.inner_text().replace("\n", "") == long
    box, tail = link.bounding_box(), link.locator(".tail").bounding_box()
    assert box is not None
    assert tail is not None
    assert tail["x"] + tail["width"] <= box["x"] + box["width"] + 1, "the end is seen"
    isolated = page.locator("#wall .breaker a.name", has_text="api").evaluate(
        "el => getComputedStyle(el).unicodeBidi"
    )
    assert isolated in ("isolate", "plaintext")


def test_the_export_and_the_page_answer_without_a_person(fleet: Site) -> None:
    assert http.get(f"{fleet.url}/api/v1/moment?at=1").status_code in (302, 401, 403)
