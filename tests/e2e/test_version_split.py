"""Markers on charts, and a breaker that is open on one version only. It adds a service to the fleet
that other files count: it comes after them."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.e2e.dashboard_server import Site, breaker


def test_markers_are_on_every_chart_and_a_split_is_in_the_headline(
    browser: Browser, site: Site
) -> None:
    page = site.page(browser)
    site.dashboard.python(
        "from dashboard.alerts.services import add_marker\n"
        "add_marker(None, text='v124 <b>goes</b> out', service='split', version='v124')\n"
        "print(json.dumps(None))"
    )
    site.versions["split", "new"] = "v124"
    site.report("split", breaker("db"), instance="old")
    site.report("split", breaker("db", "open", was="closed"), instance="new")
    page.goto(f"{site.url}/services/split/breakers/db")
    expect(page.locator("[data-f=state]")).to_contain_text("Open only on v124, 1 of 2")
    expect(page.locator("#split tbody tr")).to_have_count(2)
    expect(page.locator("#chart-markers")).to_contain_text("v124 <b>goes</b> out")
    for chart in ("rate", "latency", "heat", "states"):
        page.wait_for_selector(f"#chart-{chart} .shapelayer path", state="attached")
        expect(page.locator(f"#chart-{chart} .annotation", has_text="v124").first).to_be_visible()
    page.goto(f"{site.url}/timeline?service=split")
    # The change of version that the reports show may be a marker too.
    markers = page.locator("#events tr[data-kind=marker]")
    expect(markers.filter(has_text="v124 <b>goes</b> out")).to_be_visible()
    page.wait_for_selector("#axis .mark[data-kind=marker] path", state="attached")
    assert page.complaints == []  # type: ignore[attr-defined]
    page.context.close()
