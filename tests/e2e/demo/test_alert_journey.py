"""From a message to the post-mortem: the demo's incident, real receivers, a phone's browser.

The incident plays several times faster than its script, so that the whole cascade fits a test.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from playwright.sync_api import APIRequestContext, Browser, Page, expect

from tests.dashboard.alerts.receivers import Mailbox, Receiver, smtp
from tests.e2e.dashboard_server import session
from tests.e2e.demo.conftest import Demo
from tests.e2e.demo.test_phone import PHONE, THUMB
from tests.e2e.test_axe import violations
from tests.examples.running import eventually

PACE = 6.0
FIRST_MESSAGE_S = 15.0


class Admin:
    """An administrator who adds channels and routes in the admin's forms, and removes them."""

    def __init__(self, request: APIRequestContext, demo: Demo) -> None:
        self._request = request
        self._url = demo.url
        self._base = f"{demo.url}/admin/alerts"
        self._channels: list[str] = []

    def add_channel(self, name: str, kind: str, url: str) -> None:
        """A channel, and a route of everything to it."""
        own = {"name": name, "kind": kind, "url": url, "secret": "s3cret", "enabled": "on"}
        self._post("channel/add/", own)
        page = self._request.get(f"{self._base}/channel/?q=").text()
        found = re.search(rf"/channel/(\d+)/change/[^>]*>{name}<", page)
        assert found, page
        self._channels.append(found[1])
        self._post(
            "route/add/",
            {"name": name, "channel": found[1], "min_severity": "critical", "zone": "UTC",
             "escalate_after_s": "0", "enabled": "on"},
        )  # fmt: skip

    def resolve_what_is_open(self) -> None:
        """A new route would be told of it: of a slow start, or of the tests before."""
        for incident in self._request.get(f"{self._url}/incidents/open.json").json()["incidents"]:
            page = self._request.get(f"{self._url}{incident['url']}").text()
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
            assert token, page
            url = f"{self._url}{incident['url']}/resolve"
            form: dict[str, Any] = {"csrfmiddlewaretoken": token[1]}
            assert self._request.post(url, form=form, headers={"Referer": url}).ok

    def remove(self) -> None:
        """The channels with their routes and messages."""
        for pk in self._channels:
            self._post(f"channel/{pk}/delete/", {"post": "yes"})

    def _post(self, path: str, form: dict[str, str]) -> None:
        url = f"{self._base}/{path}"
        page = self._request.get(url).text()
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert token, page
        headers = {"Referer": url}
        sent: dict[str, Any] = {**form, "csrfmiddlewaretoken": token[1]}
        answer = self._request.post(url, form=sent, headers=headers)
        assert answer.ok, answer.text()
        assert "errornote" not in answer.text(), answer.text()


@pytest.fixture
def receivers(browser: Browser, demo: Demo) -> Iterator[tuple[Receiver, Mailbox]]:
    """A web server and a mail server of this machine, as channels of the demo's dashboard."""
    context = browser.new_context(storage_state=session(browser, demo, "admin"))
    admin, hook = Admin(context.request, demo), Receiver()
    admin.resolve_what_is_open()
    with smtp() as (mailbox, port):
        try:
            mail = f"mailto://127.0.0.1:{port}?from=alerts@example.com&to=oncall@example.com"
            admin.add_channel("hook", "webhook", hook.url)
            admin.add_channel("mail", "apprise", mail)
            yield hook, mailbox
        finally:
            demo.incident("stop")
            admin.remove()
            hook.close()
            context.close()


def webhooks(hook: Receiver) -> list[dict[str, Any]]:
    return [msgspec.json.decode(body) for _, body in hook.requests]


def text_of(mail: str) -> str:
    parsed = email.message_from_string(mail, policy=email.policy.default)
    body = parsed.get_body(("plain", "html"))
    assert body is not None
    return str(body.get_content())


def log_in(page: Page, demo: Demo) -> None:
    page.get_by_label("Name").fill("operator")
    page.get_by_label("Password").fill(demo.passwords["operator"])
    page.get_by_role("button", name="Log in").tap()


@pytest.mark.usefixtures("hands_off")
def test_an_alert_calls_and_leads_from_the_message_to_the_post_mortem(
    browser: Browser, demo: Demo, receivers: tuple[Receiver, Mailbox]
) -> None:
    hook, mailbox = receivers
    demo.incident("start", pace=PACE)
    eventually(lambda: hook.requests and mailbox.mails, FIRST_MESSAGE_S)
    (message,), (mail,) = webhooks(hook), map(text_of, mailbox.mails)
    assert message["title"].startswith("posts failing for profile-api on ")
    assert "Since 20" in mail
    assert "Severity: critical" in mail
    assert "What would help: Force posts open" in mail

    link = re.search(rf"{demo.url}/incidents/\d+\?ack=[\w:-]+", mail)
    assert link, mail
    context = browser.new_context(**PHONE)
    context.set_default_timeout(30_000)
    page = context.new_page()
    page.goto(link[0])
    log_in(page, demo)
    # The later cascade joins the incident while the page is open, below the first cause.
    expect(page.locator("h1")).to_have_text(re.compile("^posts failing for profile-api on "))
    symptoms = page.locator("#symptoms")
    expect(symptoms).to_contain_text("profile-api/users-db", timeout=120_000)
    expect(symptoms).to_contain_text("web/profile-api", timeout=120_000)
    expect(page.locator("h1")).to_have_text(re.compile("^posts failing for profile-api on "))
    expect(page.locator("#cause")).to_contain_text("tripped first")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

    assert violations(page) == []
    acknowledge = page.get_by_role("button", name="Acknowledge")
    box = acknowledge.bounding_box()
    assert box
    assert box["height"] >= THUMB
    assert box["y"] + box["height"] <= 844
    acknowledge.tap()
    expect(page.locator(".incident-since")).to_contain_text("acknowledged by operator")

    page.get_by_role("link", name=re.compile("^Force .* open")).tap()
    page.get_by_label("Reason", exact=True).fill("posts is down")
    page.locator(".act-form footer button").tap()
    expect(page.locator(".story.override, [data-f=override]").first).to_be_visible()
    demo.incident("stop")

    page.goto(link[0])
    page.get_by_role("button", name="Resolve").tap()
    expect(page.locator(".incident-since")).to_contain_text("closed")
    with page.expect_download() as downloaded:
        page.get_by_role("link", name="Post-mortem").tap()
    written = downloaded.value.path().read_text()
    assert re.match(r"# Incident \d+: posts failing for profile-api", written)
    for each in (
        "First cause: profile-api/posts", "Acknowledged by operator after", "| web/profile-api |",
        "| profile-api/users-db |", "posts is down (operator)", "Resolved (operator)",
        "data:image/svg+xml;base64,",
    ):  # fmt: skip
        assert each in written, written

    # One message that it began and one that it ended, each to each channel. What is forced may be
    # an incident of its own to those who depend on it.
    id = message["incident"]["id"]

    def kinds() -> list[str]:
        return [each["kind"] for each in webhooks(hook) if each["incident"]["id"] == id]

    def mails() -> int:
        return sum(bool(re.search(rf"/incidents/{id}\b", text_of(each))) for each in mailbox.mails)

    eventually(lambda: len(kinds()) > 1 and mails() > 1, 15)
    assert kinds() == ["opened", "resolved"]
    assert mails() == 2
    context.close()
