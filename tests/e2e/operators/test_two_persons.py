"""Journeys of acts above the limit: approved by a second person, or done by breaking the glass."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Page, expect

from tests.e2e.dashboard_server import Site
from tests.examples.running import eventually

LONG_MS = 30_000


def ask_to_force_open(page: Page, site: Site, breaker: str, reason: str) -> None:
    """Force a breaker open on both instances; the dialog says that a second person must approve."""
    page.goto(f"{site.url}/services/bank/breakers/{breaker}")
    page.locator("[data-primary]").click()
    dialog = page.locator("#act-dialog")
    dialog.get_by_label("Reason").fill(reason)
    dialog.locator("footer").get_by_role("button", name="Force open").click()
    error = dialog.locator(".error")
    expect(error).to_contain_text("waits for the approval of a second person", timeout=LONG_MS)
    expect(error).to_contain_text("It reaches 2 instances, more than 1")


def override_of(page: Page, site: Site, breaker: str) -> str:
    """The state to which a breaker is forced, as the API has it."""
    shown = page.request.get(f"{site.url}/api/v1/fleet").json()
    (view,) = (
        each for one in shown["services"] for each in one["breakers"] if each["name"] == breaker
    )
    return view["override"]["state"] if view["override"] else ""


def audited(site: Site, breaker_or_act: str) -> list[list[str]]:
    """Who did what, of the audit trail."""
    found: list[list[str]] = site.dashboard.python(
        "from dashboard.access.models import AuditEntry\n"
        f"rows = AuditEntry.objects.filter(reason={breaker_or_act!r}).order_by('number')\n"
        "print(json.dumps([list(row) for row in rows.values_list('by', 'act')]))"
    )
    return found


def test_a_second_person_approves_a_large_act(browser: Browser, company: Site) -> None:
    first, second = company.page(browser, "operator"), company.page(browser, "admin")
    ask_to_force_open(first, company, "ledger", "the ledger is wrong")
    assert override_of(first, company, "ledger") == ""
    first.goto(f"{company.url}/approvals")
    mine = first.locator("form", has_text="the ledger is wrong")
    expect(mine.get_by_role("button", name="Withdraw")).to_be_visible()
    expect(mine.get_by_role("button", name="Approve")).to_have_count(0)
    second.goto(f"{company.url}/approvals")
    theirs = second.locator("form", has_text="the ledger is wrong")
    expect(theirs).to_contain_text("operator asks for forced_open")
    theirs.get_by_role("button", name="Approve").click()
    expect(theirs).to_have_count(0, timeout=LONG_MS)
    second.goto(f"{company.url}/in-force")
    row = second.locator("tbody tr", has_text="bank / ledger")
    expect(row).to_contain_text("operator: the ledger is wrong", timeout=LONG_MS)
    # The fleet shows it with the next frame.
    eventually(lambda: override_of(second, company, "ledger") == "forced_open", 5)
    assert audited(company, "the ledger is wrong") == [
        ["operator", "approval requested"],
        ["admin", "approval: approved"],
        ["operator", "forced_open"],
    ]
    for page in (first, second):
        page.context.close()


def test_breaking_the_glass_acts_at_once_and_says_so(browser: Browser, company: Site) -> None:
    page = company.page(browser, "operator")
    ask_to_force_open(page, company, "cards", "no time to ask")
    page.goto(f"{company.url}/approvals")
    mine = page.locator("form", has_text="no time to ask")
    mine.get_by_role("button", name="Break glass").click()
    expect(mine).to_have_count(0, timeout=LONG_MS)
    eventually(lambda: override_of(page, company, "cards") == "forced_open", 5)
    page.goto(f"{company.url}/audit")
    loud = page.locator("tr", has_text="break glass").first
    expect(loud).to_contain_text("no time to ask")
    expect(loud).to_contain_text(re.compile("operator"))
    assert ["operator", "break glass"] in audited(company, "no time to ask")
    page.context.close()
