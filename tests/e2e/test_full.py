"""A service with more breakers than there is site for: the pages say so."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

from breakers.protocol.messages import MAX_BREAKERS
from tests.e2e.dashboard_server import breaker, running_site


def test_what_there_is_no_room_for_is_said_where_one_looks(
    browser: Browser, tmp_path: Path
) -> None:
    with running_site(tmp_path) as site:
        site.report("crowd", *(breaker(f"b{n}") for n in range(MAX_BREAKERS)))
        site.report("crowd", breaker("one more"), breaker("and another"))
        page = site.page(browser)
        page.goto(f"{site.url}/?q=service:crowd")
        expect(page.get_by_text("Over capacity: 2 breakers")).to_be_visible()
        page.goto(f"{site.url}/services/crowd")
        expect(page.get_by_role("status").filter(has_text="Over capacity")).to_contain_text(
            "Over capacity: 2 breakers not shown."
        )
        expect(page.get_by_role("status").filter(has_text="Over capacity")).to_contain_text(
            "Not watched: and another, one more"
        )
        page.goto(f"{site.url}/services/web")
        expect(page.get_by_role("heading", name="web", exact=True)).to_be_visible()
        expect(page.get_by_text("Over capacity")).to_be_hidden()
        page.context.close()
