"""The wall's query language, in the browser that runs it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "http://127.0.0.1:1"  # nobody listens there: every answer is the test's own


def breaker(service: str, name: str, state: str, figures: Any, override: Any = None) -> Any:
    """As the wall knows it; `figures` are calls/s, errors in per cent, and p99 in ms."""
    rate, errors, p99 = figures
    return {
        "service": service,
        "name": name,
        "state": state,
        "rate": rate,
        "failed_pct": errors,
        "ran": int(rate * 10),
        "failed": int(rate * (errors or 0) / 10),
        "refused": 0,
        "states": {state: 1},
        "outage": None,
        "p99_ms": p99,
        "override": override,
    }


BY_ANN = {
    "by": "ann",
    "reason": "INC-247 failover",
    "state": "forced_open",
    "applied": 1,
    "total": 2,
}
FLEET = [
    breaker("web", "posts", "open", (40, 97.5, 80)),
    breaker("web", "users db", "closed", (200, 0.0, 900)),
    breaker("billing", "posts", "half_open", (0, None, None)),
    breaker("billing", "Cards", "forced_open", (12, 100, 5), BY_ANN),
]
WEB_POSTS, USERS = "web/posts", "web/users db"
BILLING_POSTS, CARDS = "billing/posts", "billing/Cards"
EVERY = {WEB_POSTS, USERS, BILLING_POSTS, CARDS}

ASK = """async ([text, fleet]) => {
  const { parse } = await import("/static/js/query.js");
  const query = parse(text);
  const web = { zones: ["eu-1", "us-2"], versions: ["2.4.1"] };
  const facts = (service) => (service === "web" ? web : { zones: ["us-2"], versions: [] });
  const found = fleet
    .map((view) => ({ view, service: view.service,
                      text: `${view.service} ${view.name}`.toLowerCase() }))
    .filter((entry) => query.test(entry, facts))
    .map(({ view }) => `${view.service}/${view.name}`);
  return { found, complaints: query.complaints, moves: query.moves };
}"""


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """An empty page beside our own scripts, which are read from the disk."""

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix(ADDRESS).lstrip("/")
        if not path:
            route.fulfill(body="<!doctype html><title>empty</title>", content_type="text/html")
        else:
            route.fulfill(path=ROOT / path, content_type="text/javascript")

    page = browser.new_page()
    page.route("**/*", answer)
    page.goto(ADDRESS)
    yield page
    page.close()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", EVERY),
        ("   ", EVERY),
        ("posts", {WEB_POSTS, BILLING_POSTS}),
        ("POSTS web", {WEB_POSTS}),
        ("cards", {CARDS}),
        ('"users db"', {USERS}),
        ('"users  db"', set()),
        ("service:bill", {BILLING_POSTS, CARDS}),
        ("service:web,bill", EVERY),
        ("breaker:post", {WEB_POSTS, BILLING_POSTS}),
        ("state:open", {WEB_POSTS}),
        ("state:half-open", {BILLING_POSTS}),
        ("state:half_open", {BILLING_POSTS}),
        ("state:open,half-open", {WEB_POSTS, BILLING_POSTS}),
        ("state:forced", {CARDS}),
        ("state:bad", {WEB_POSTS, BILLING_POSTS, CARDS}),
        ("-state:closed", {WEB_POSTS, BILLING_POSTS, CARDS}),
        ("half", {BILLING_POSTS}),
        ("override:", {CARDS}),
        ("override:any", {CARDS}),
        ("override:none", EVERY - {CARDS}),
        ("-override:", EVERY - {CARDS}),
        ("override:pending", {CARDS}),
        ("override:ann", {CARDS}),
        ('override:"inc-247 fail"', {CARDS}),
        ("override:bob", set()),
        ("zone:eu", {WEB_POSTS, USERS}),
        ("version:2.", {WEB_POSTS, USERS}),
        ("tag:us", EVERY),
        ("tag:2.4", {WEB_POSTS, USERS}),
        ("errors:>5", {WEB_POSTS, CARDS}),
        ("errors:>=100", {CARDS}),
        ("errors:0", {WEB_POSTS, USERS, CARDS}),
        ("rate:<50", {WEB_POSTS, BILLING_POSTS, CARDS}),
        ("p99:>0.5s", {USERS}),
        ("p99:>500ms", {USERS}),
        ("posts -web", {BILLING_POSTS}),
        ("posts -service:web state:bad", {BILLING_POSTS}),
        ("service:", EVERY),
        ("-", EVERY),
        ('"', EVERY),
    ],
)
def test_filter_matches(page: Page, text: str, found: set[str]) -> None:
    answer = page.evaluate(ASK, [text, FLEET])
    assert set(answer["found"]) == found
    assert answer["complaints"] == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("colour:red", "no “colour:”"),
        ("constructor:x", "no “constructor:”"),
        ("state:shut", "closed, open, half-open"),
        ("errors:many", "errors:>5"),
    ],
)
def test_an_invalid_term_is_reported_and_ignored(page: Page, text: str, says: str) -> None:
    answer = page.evaluate(ASK, [f"{text} web", FLEET])
    assert says in " ".join(answer["complaints"])
    assert set(answer["found"]) == {WEB_POSTS, USERS}


def test_filters_on_figures_follow_the_figures(page: Page) -> None:
    assert page.evaluate(ASK, ["errors:>5", FLEET])["moves"]
    assert not page.evaluate(ASK, ["state:open posts", FLEET])["moves"]


@pytest.mark.parametrize(
    ("text", "state", "after"),
    [
        ("", "open", "state:open"),
        ("posts", "half_open", "state:half-open posts"),
        ("state:open posts", "half_open", "state:open,half-open posts"),
        ("posts state:open", "open", "posts"),
    ],
)
def test_a_pill_toggles_its_state_in_the_filter(
    page: Page, text: str, state: str, after: str
) -> None:
    toggle = """async ([text, state]) =>
      (await import("/static/js/query.js")).toggleState(text, state)"""
    assert page.evaluate(toggle, [text, state]) == after


def test_sorting_by_severity_keeps_the_groups(page: Page) -> None:
    order = """async (fleet) => {
      const { arranged, byName } = await import("/static/js/order.js");
      const entries = fleet.map((view) => ({ view, key: view.name, ...view })).sort(byName);
      return arranged(entries, "worst", "service").map((group) =>
        [group.title, ...group.entries.map((each) => each.name)]);
    }"""
    assert page.evaluate(order, FLEET) == [
        ["web", "posts", "users db"],
        ["billing", "Cards", "posts"],
    ]
