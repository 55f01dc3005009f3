"""From the start of the demo's incident to the post-mortem: a message, its link on a phone, and
what the on-call engineer does."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import msgspec
import pytest
from playwright.sync_api import Browser, expect

from tests.dashboard.alerts.receivers import Mailbox, Receiver, smtp
from tests.e2e.demo.conftest import Demo, visit
from tests.e2e.demo.test_phone import PHONE
from tests.examples.running import eventually

_CASCADE_S = 100


@pytest.fixture
def receivers(browser: Browser, demo: Demo) -> Iterator[tuple[Receiver, Mailbox]]:
    """A webhook and a mail server, each with a channel and a route in the dashboard."""
    receiver = Receiver()
    admin = visit(browser, demo, "admin").page
    with smtp() as (mailbox, port):
        mail = f"mailto://127.0.0.1:{port}?from=alerts@example.com&to=oncall@example.com"
        for name, kind, url in (("hook", "webhook", receiver.url), ("mail", "apprise", mail)):
            admin.goto(f"{demo.url}/admin/alerts/channel/add/")
            admin.locator("#id_name").fill(name)
            admin.locator("#id_kind").select_option(kind, force=True)
            admin.locator("#id_url").fill(url)
            admin.locator("#id_secret").fill("a secret")
            admin.locator("[name=_save]").click()
            admin.goto(f"{demo.url}/admin/alerts/route/add/")
            admin.locator("#id_name").fill(name)
            admin.locator("#id_channel").select_option(label=name, force=True)
            admin.locator("#id_min_severity").select_option("critical", force=True)
            admin.locator("[name=_save]").click()
            expect(admin.locator("body")).to_contain_text("added successfully")
        yield receiver, mailbox
    receiver.close()
    admin.context.close()


@pytest.mark.usefixtures("hands_off")
def test_an_alert_calls_and_its_link_leads_to_the_first_cause(
    browser: Browser, demo: Demo, receivers: tuple[Receiver, Mailbox]
) -> None:
    receiver, mailbox = receivers
    demo.incident("start")
    began = time.monotonic()
    try:
        eventually(lambda: receiver.requests and mailbox.mails, 15)
        assert time.monotonic() - began < 15
        sent = msgspec.json.decode(receiver.requests[0][1])
        assert sent["incident"]["breaker"] == "posts"
        link = re.search(r"http://\S+\?ack=\S+", sent["text"])
        assert link is not None

        phone = visit(browser, demo, "operator", **PHONE)
        page = phone.page
        page.goto(link[0])
        expect(page.locator("h1")).to_contain_text("posts failing for profile-api")
        page.get_by_role("button", name="Acknowledge").tap()
        expect(page.locator(".incident-since")).to_contain_text("acknowledged by operator")

        # The cascade is folded below, and posts stays the first cause.
        def folded() -> bool:
            page.reload()
            text = page.locator("#symptoms").inner_text()
            return "profile-api/users-db" in text and "web/profile-api" in text

        eventually(folded, _CASCADE_S)
        expect(page.locator("h1")).to_contain_text("posts failing for profile-api")
        opened = [msgspec.json.decode(body) for _, body in receiver.requests]
        assert [each["kind"] for each in opened] == ["opened"]

        page.goto(f"{demo.url}/services/profile-api/breakers/posts/force-open")
        page.get_by_label("Reason").fill("posts is down")
        page.get_by_role("button", name="Force open").tap()
        page.goto(link[0])
        page.get_by_role("button", name="Resolve").tap()
        expect(page.locator(".incident-since")).to_contain_text("closed")
        markdown = page.request.get(f"{page.url.partition('?')[0]}.md").text()
        assert "posts failing for profile-api" in markdown
        assert "Acknowledged by operator" in markdown
        assert "posts is down" in markdown
        assert phone.complaints == []
        page.context.close()
    finally:
        demo.incident("stop")
