"""The pages beside the wall, in a real browser, with a fleet that says each state there is."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.dashboard_server import HOSTILE, SLASHES, Site, breaker, everything
from tests.examples.running import eventually, http


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    page = site.page(browser)
    yield page
    complaints: list[str] = page.complaints  # type: ignore[attr-defined]
    pwned = page.evaluate("window.pwned")
    page.context.close()
    assert pwned is None
    assert complaints == []


def quoted(name: str) -> str:
    """A name in an address, as dashboard/common/url_converters.py has it."""
    return quote(quote(name, safe=""), safe="")


# -- The breaker page -----------------------------------------------------------------------------


def test_a_drag_across_a_chart_zooms_all_of_them_and_loads_that_range(
    page: Page, site: Site
) -> None:
    page.goto(f"{site.url}/services/api/breakers/posts?range=24h")
    page.wait_for_selector("#chart-heat .main-svg")
    box = page.locator("#chart-rate .nsewdrag").bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    with page.expect_request(lambda request: "/history?" in request.url):
        page.mouse.move(box["x"] + box["width"] * 0.9, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.98, middle, steps=5)
        page.mouse.up()
    page.wait_for_url("**from=**")
    for chart in ("rate", "latency", "heat", "states"):
        page.wait_for_function(
            """id => {
                const [from, to] = document.getElementById(id).layout.xaxis.range;
                const seconds = (new Date(to) - new Date(from)) / 1000;
                return seconds > 5000 && seconds < 9000;
            }""",
            arg=f"chart-{chart}",
        )
    page.reload()
    expect(page.locator("#span-words")).to_contain_text(" to ")
    page.locator("#unzoom").click()
    expect(page.locator("[data-range='24h']")).to_have_attribute("aria-pressed", "true")
    assert "from=" not in page.url


def test_keys_zoom_too(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/services/api/breakers/posts")
    page.get_by_role("button", name="Zoom in").press("Enter")
    expect(page.locator("#unzoom")).to_have_text("Back to 15 min")
    page.get_by_role("button", name="Earlier").press("Enter")
    page.get_by_role("button", name="1 h", exact=True).press("Enter")
    expect(page.locator("#unzoom")).to_be_hidden()


def test_every_range_has_its_history(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/services/api/breakers/posts")
    page.wait_for_selector("#chart-rate .main-svg")
    for name in ("5m", "15m", "1h", "6h", "24h", "7d", "30d"):
        with page.expect_response(lambda answer: "/history?" in answer.url) as response:
            page.locator(f"[data-range='{name}']").click()
        assert response.value.ok
        assert len(response.value.json()["t"]) <= 400


def test_every_chart_is_a_table_too(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/services/api/breakers/posts")
    page.wait_for_selector("#chart-states .main-svg")

    def shown() -> bool:
        page.reload()
        page.wait_for_selector("#chart-states .main-svg")
        return bool(page.locator("#chart-rate .bars .point").count())

    # The ten seconds that are still filling are not drawn yet.
    eventually(shown, 15)
    for name in ("rate", "latency", "heat", "states"):
        figure = page.locator(f"[data-chart={name}]")
        figure.get_by_role("button", name="Table").click()
        expect(figure.locator(".plot")).to_be_hidden()
        expect(figure.locator(".chart-table tbody tr").first).to_be_visible()
        assert "Nothing" not in figure.locator(".chart-table").inner_text()
        figure.get_by_role("button", name="Table").click()
        expect(figure.locator(".plot .main-svg").first).to_be_visible()


def test_a_transition_appears_with_its_cause_and_its_window(page: Page, site: Site) -> None:
    site.report("api", breaker("db"))
    page.goto(f"{site.url}/services/api/breakers/db")
    expect(page.locator("#transitions .none")).to_be_visible()
    site.report("api", breaker("db", "open", was="closed"))
    row = page.locator("#transitions tbody tr").first
    expect(row).to_contain_text("5 failures in a row")
    expect(row).to_contain_text("10 of 20 failed, 5 in a row")
    site.report("api", breaker("db", was="open"))
    expect(page.locator("#transitions tbody tr")).to_have_count(2)


def test_a_key_opens_the_form_and_the_tables_tell_of_the_act(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/services/api/breakers/users")
    expect(page.locator("#overrides .none")).to_be_visible()
    page.keyboard.press("o")
    page.get_by_label("Reason").fill("INC-248")
    page.locator("#act-dialog").get_by_role("button", name="Force open").click()
    expect(page.locator("#overrides tbody tr")).to_contain_text("INC-248")
    expect(page.locator("#audit tbody tr")).to_contain_text("Forced open")
    page.keyboard.press("a")
    page.get_by_label("Reason").fill("over")
    page.locator("#act-dialog").get_by_role("button", name="Back to automatic").click()
    expect(page.locator("#audit tbody tr")).to_have_count(2)
    expect(page.locator("#overrides tbody tr")).to_contain_text("over")


def test_the_policy_says_where_each_field_comes_from(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/services/api/breakers/posts")
    row = page.locator("#policy tr", has_text="timeout").first
    expect(row).to_contain_text("500 ms")
    expect(row).to_contain_text("code")


# -- Service, map, TV -----------------------------------------------------------------------------


def test_the_service_page_shows_its_breakers_instances_and_callers(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/services/api")
    expect(page.locator("#breakers tbody tr")).to_have_count(9)
    expect(page.locator("#breakers tbody tr").first).to_contain_text("Open")
    expect(page.locator("#instances tbody tr")).to_contain_text("1.4.2")
    page.get_by_role("link", name="web", exact=True).click()
    expect(page.locator("h1")).to_have_text("api")
    page.get_by_role("link", name="web", exact=True).click()
    expect(page.locator("h1")).to_have_text("web")


def test_the_map_leads_from_service_to_service_to_breaker(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/map")
    expect(page.locator(".edge")).to_have_count(10)
    # The breaker named like a service leads to that service: one box, not two.
    expect(page.locator(".node-name", has_text="api")).to_have_count(1)
    cascade = page.get_by_role("link", name="web calls api: Open")
    expect(cascade).to_have_attribute("data-state", "open")
    cascade.focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("api")
    assert page.url.endswith("/services/web/breakers/api")


def test_the_map_is_a_table_too_and_filters_by_name(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/map?q=posts")
    expect(page.locator(".edge")).to_have_count(1)
    page.locator(".as-table summary").click()
    expect(page.locator("#lines tr")).to_have_count(1)
    page.locator("#filter").fill("")
    expect(page.locator("#lines tr")).to_have_count(10)
    assert "q=" not in page.url


def test_the_same_graph_gives_the_same_picture_and_circles_end(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/map")
    places = page.evaluate(
        """async () => {
          const { layered } = await import("/static/js/layout.js");
          const edges = ["web api", "api db", "api mail", "mail web", "x x"]
            .map((each) => each.split(" ")).map(([from, to]) => ({ from, to }));
          const nodes = ["web", "api", "db", "mail", "x"];
          const plain = (found) => JSON.stringify([...found].sort());
          const chain = Array.from({ length: 3000 }, (_, n) => `n${n}`);
          const long = layered(chain, chain.slice(1).map((to, n) => ({ from: `n${n}`, to })));
          return {
            once: plain(layered(nodes, edges)),
            again: plain(layered([...nodes].reverse(), [...edges].reverse())),
            layers: Object.fromEntries([...layered(nodes, edges)].map(([id, p]) => [id, p.layer])),
            longest: long.get("n2999").layer,
          };
        }"""
    )
    assert places["once"] == places["again"]
    assert places["longest"] == 2999
    layers = places["layers"]
    assert layers["api"] < layers["db"]
    assert layers["api"] < layers["mail"]


def test_the_screen_for_the_room_shows_the_worst_first_and_the_connection(
    page: Page, site: Site
) -> None:
    page.goto(f"{site.url}/tv")
    expect(page.locator("#headline")).to_contain_text("4 open, 1 forced open")
    expect(page.locator(".tv-row").first).to_have_attribute("data-state", "open")
    expect(page.locator("#connection")).to_contain_text("Live")
    expect(page.locator("#clock")).not_to_be_empty()
    expect(page.locator("#more")).to_contain_text("more")
    size = page.locator(".tv-row .state b").first.evaluate("el => getComputedStyle(el).fontSize")
    assert float(size.removesuffix("px")) >= 32
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")


# -- Names that nobody would choose ---------------------------------------------------------------


@pytest.mark.parametrize("name", [HOSTILE, SLASHES, "x" * 120], ids=["html", "slashes", "long"])
def test_any_name_is_shown_as_text_and_leads_to_its_page(page: Page, site: Site, name: str) -> None:
    for path in ("/map", "/tv", "/timeline", "/services/api"):
        page.goto(site.url + path)
        page.wait_for_load_state("networkidle")
    page.get_by_role("link", name=name, exact=True).first.click()
    expect(page.locator("h1")).to_have_text(name)
    assert page.url.endswith(quoted(name)) or "/breakers/" in page.url
    page.wait_for_selector("#chart-states .main-svg")


# -- The timeline ---------------------------------------------------------------------------------


def test_the_timeline_follows_what_happens(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/timeline?service=api&kind=transition")
    expect(page.locator("#events tr").first).to_be_visible()
    site.report("api", breaker("mail", "forced_open", was="metrics_only"))
    row = page.locator("#events tr", has_text="mail").first
    expect(row).to_contain_text("Monitor only → Forced open on one", timeout=10_000)
    expect(page.locator(".axis-svg .mark[data-state=forced_open]")).not_to_have_count(0)
    site.report("api", breaker("mail", "metrics_only", was="forced_open"))


def test_the_timeline_tells_who_did_what_and_why(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/services/api/breakers/search/force-open")
    page.get_by_label("Reason").fill("INC-247 <b>")
    page.get_by_role("button", name="Force open").click()
    page.wait_for_url("**/breakers/search*")
    page.goto(f"{site.url}/timeline?who=operator&kind=override")
    row = page.locator("#events tr").first
    expect(row).to_contain_text("Forced open")
    expect(row).to_contain_text("INC-247 <b>")
    expect(row).to_contain_text("operator")
    page.get_by_label("Service").fill("web")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#nothing")).to_be_visible()
    assert "service=web" in page.url


@pytest.mark.parametrize("format", ["JSON", "CSV", "Markdown"])
def test_the_timeline_is_saved_as_a_file(page: Page, site: Site, format: str) -> None:
    page.goto(f"{site.url}/timeline?range=1h&service=api&kind=transition")
    with page.expect_download() as download:
        page.get_by_role("link", name=format).click()
    text = download.value.path().read_text()
    if format == "JSON":
        document = json.loads(text)
        assert document["count"] == len(document["events"]) > 0
        assert {each["service"] for each in document["events"]} == {"api"}
    elif format == "CSV":
        rows = list(csv.DictReader(io.StringIO(text)))
        assert {row["service"] for row in rows} == {"api"}
    else:
        assert text.startswith("# Timeline")
    assert "posts" in text
    assert download.value.suggested_filename.startswith("timeline-")


# -- Who has no login -----------------------------------------------------------------------------


def test_the_status_page_follows_without_a_login_and_ends_with_its_link(
    browser: Browser, site: Site
) -> None:
    everything(site)
    stranger: Any = browser.new_page()
    stranger.clock.install()
    stranger.goto(site.status_link())
    expect(stranger.locator("h1")).to_have_text("Some services are disrupted")
    item = stranger.locator("li", has_text="api")
    expect(item).to_contain_text("Disrupted")
    expect(item).to_contain_text("Since")
    for inside in ("posts", "one", "failures", "operator"):
        assert inside not in stranger.locator("main").inner_text()
    site.report("web", breaker("api", was="open"))
    site.report("web", breaker("api", was="half_open"), instance="two")
    expect(item).to_contain_text("Disrupted")
    # Again and again: a question that was under way while time ran asks anew only after its answer.
    eventually(lambda: (stranger.clock.run_for(11_000), "Limited" in item.inner_text())[1], 15)
    site.dashboard.python(
        "from django.utils import timezone\n"
        "from dashboard.access.models import StatusLink\n"
        "print(json.dumps(StatusLink.objects.update(revoked=timezone.now())))"
    )
    headline = stranger.locator("h1")
    ended = "This link has expired"
    eventually(lambda: (stranger.clock.run_for(11_000), headline.inner_text() == ended)[1], 15)
    stranger.close()


def test_nothing_else_is_shown_without_a_login(site: Site) -> None:
    for path in ("/map", "/tv", "/timeline", "/timeline/events", "/timeline.csv", "/services/api"):
        answer = http.get(site.url + path)
        assert answer.status_code == 302, path
        assert answer.headers["location"].startswith("/login"), path


# -- As an app ------------------------------------------------------------------------------------


def test_the_web_app_is_installable_and_has_an_offline_page(page: Page, site: Site) -> None:
    manifest = page.request.get(f"{site.url}/manifest.webmanifest").json()
    for icon in manifest["icons"]:
        answer = page.request.get(site.url + icon["src"])
        assert answer.headers["content-type"] == "image/png"
        width = int.from_bytes(answer.body()[16:20], "big")
        assert icon["sizes"] == f"{width}x{width}"
    page.goto(f"{site.url}/tv")
    page.goto(site.url)
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.reload()
    page.context.set_offline(True)
    page.goto(f"{site.url}/map")
    expect(page.locator("h1")).to_have_text("The dashboard cannot be reached")
    page.context.set_offline(False)
    page.get_by_role("link", name="Try again").click()
    expect(page.locator(".edge").first).to_be_visible()
    complaints: list[str] = page.complaints  # type: ignore[attr-defined]
    complaints[:] = [each for each in complaints if "ERR_INTERNET_DISCONNECTED" not in each]
