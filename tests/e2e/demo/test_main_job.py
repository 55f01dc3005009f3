"""The main job, in a real browser against real processes: see a breaker trip, put a hand on it,
watch every instance confirm it, and see the services obey with and without the dashboard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.demo.conftest import Demo, Visit
from tests.examples.running import ROOT, eventually, http

POSTS = ".breaker[data-service='profile-api'][data-breaker='posts']"


def act(page: Page, slug: str, reason: str) -> None:
    """Do an act from the row's menu on the wall."""
    page.locator(f"{POSTS} [data-menu]").click()
    page.locator(f"#row-menu a[data-act={slug}]").click()
    page.get_by_label("Reason").fill(reason)
    page.locator("#act-dialog footer button").click()
    expect(page.locator("#act-dialog")).to_be_hidden()


def released(page: Page) -> None:
    act(page, "automatic", "the test is over")
    expect(page.locator(f"{POSTS} .override")).to_be_hidden()
    expect(page.locator(POSTS)).to_have_attribute("data-state", "closed", timeout=20_000)


def test_the_wall_shows_every_breaker_of_the_shop_with_its_traffic(operator: Visit) -> None:
    page = operator.page
    names = page.locator(".breaker .name")
    expect(names).to_have_count(4, timeout=10_000)
    assert set(names.all_inner_texts()) == {"users-db", "posts", "social", "profile-api"}
    for rate in page.locator(".breaker [data-f=rate]").all():
        expect(rate).not_to_have_text("0.0", timeout=10_000)
    expect(page.locator("#connection")).to_have_text("Live")
    assert operator.complaints == []


def test_an_incident_opens_posts_and_its_end_closes_it(operator: Visit, demo: Demo) -> None:
    page = operator.page
    expect(page.locator(POSTS)).to_have_attribute("data-state", "closed", timeout=20_000)
    page.evaluate("window.notReloaded = true")
    demo.incident("start")
    try:
        expect(page.locator(POSTS)).to_have_attribute("data-state", "open", timeout=10_000)
        expect(page.locator(f"{POSTS} .story")).to_contain_text("Failing for")
        expect(page.locator("#announcer")).to_contain_text("posts of profile-api: Open")
        expect(page.locator("#summary")).to_contain_text("1 open")
    finally:
        demo.incident("stop")
    expect(page.locator(POSTS)).to_have_attribute("data-state", "closed", timeout=25_000)
    assert page.evaluate("window.notReloaded")


def test_forcing_open_is_confirmed_by_every_instance(operator: Visit, demo: Demo) -> None:
    page = operator.page
    eventually(lambda: not any("posts" in each["degraded"] for each in demo.profiles()), 20)
    act(page, "force-open", "trying the switch")
    eventually(lambda: all("posts" in each["degraded"] for each in demo.profiles()), 1.5)
    override = page.locator(f"{POSTS} .override")
    expect(override).to_contain_text("in force on all 4 instances", timeout=5_000)
    expect(override).to_contain_text("Forced open by operator")
    expect(override).to_contain_text("“trying the switch”")
    expect(page.locator(POSTS)).to_have_attribute("data-state", "forced_open")
    released(page)
    assert operator.complaints == []


def test_a_missing_reason_is_an_error_at_its_field(operator: Visit) -> None:
    page = operator.page
    page.locator(f"{POSTS} [data-menu]").click()
    page.locator("#row-menu a[data-act=force-open]").click()
    page.locator("#act-dialog footer button").click()
    expect(page.locator("#act-dialog .field.wrong .error")).to_contain_text("Give a reason")
    page.get_by_text("Cancel").click()
    expect(page.locator("#act-dialog")).to_be_hidden()


def test_overrides_hold_while_the_dashboard_is_down(operator: Visit, demo: Demo) -> None:
    page = operator.page
    act(page, "force-open", "hold it")
    expect(page.locator(f"{POSTS} .override")).to_contain_text("in force on all 4 instances")
    os.kill(demo.process.named("examples.demo.serve"), signal.SIGKILL)
    demo.process.line("The dashboard ended")
    expect(page.locator("#old-data")).to_contain_text("Connection lost")
    for _ in range(10):
        assert all("posts" in each["degraded"] for each in demo.profiles())
        time.sleep(0.1)

    back = [sys.executable, "-m", "examples.demo", "dashboard", "--port", demo.port]
    env = {**os.environ, "DEMO_DIR": str(demo.state.parent)}
    subprocess.run(back, cwd=ROOT, env=env, check=True, timeout=30, capture_output=True)
    expect(page.locator("#connection")).to_have_text("Live", timeout=8_000)
    expect(page.locator(f"{POSTS} .override")).to_contain_text(
        "in force on all 4 instances", timeout=5_000
    )
    expect(page.locator("#old-data")).to_be_hidden()
    released(page)


def test_a_timeout_saved_in_the_admin_is_obeyed_without_a_restart(
    operator: Visit, demo: Demo
) -> None:
    page = operator.page

    def social() -> dict[str, Any]:
        shot = page.request.get(f"{demo.url}/api/v1/fleet").json()
        return next(
            each
            for service in shot["services"]
            for each in service["breakers"]
            if each["name"] == "social"
        )

    def timed_out() -> float:
        """The share of the answered calls of the breaker's window that timed out."""
        counts = social()["counts"]
        answered = sum(counts.get(each, 0) for each in ("success", "failure", "timeout"))
        return float(counts.get("timeout", 0) / max(answered, 1))

    def save(timeout: str) -> None:
        page.goto(f"{demo.url}/admin/policies/breakerpolicy/")
        page.get_by_role("link", name="social").click()
        page.locator("#id_timeout").fill(timeout)
        page.get_by_role("button", name="Save", exact=True).click()

    # The median answer takes 60 ms. A busy machine may add timeouts of its own to either side.
    eventually(lambda: timed_out() < 0.2, 25)
    save("0")
    expect(page.locator(".field-timeout .errorlist")).to_contain_text("1 ms")
    save("50 ms")
    eventually(lambda: timed_out() > 0.4, 20)
    save("")
    eventually(lambda: timed_out() < 0.2 and social()["state"] == "closed", 30)
    assert operator.complaints == []


def test_the_breaker_page_draws_charts_that_move(operator: Visit, demo: Demo) -> None:
    page = operator.page
    page.goto(f"{demo.url}/services/profile-api/breakers/users-db")
    for chart in ("chart-rate", "chart-latency", "chart-states"):
        page.wait_for_selector(f"#{chart} .main-svg", timeout=15_000)
    eventually(lambda: page.locator("#chart-rate .bars .point").count() > 0, 25)
    edge = "document.getElementById('chart-rate').layout.xaxis.range[1]"
    before = page.evaluate(f"String({edge})")
    eventually(lambda: page.evaluate(f"String({edge})") != before, 5)
    expect(page.locator("#instances tbody tr")).to_have_count(4)
    assert operator.complaints == []


def test_a_viewer_is_offered_no_act(viewer: Visit, demo: Demo) -> None:
    page = viewer.page
    expect(page.locator(".breaker")).to_have_count(4)
    expect(page.locator("[data-act]")).to_have_count(0)
    url = f"{demo.url}/services/profile-api/breakers/posts/force-open"
    token = page.context.cookies()
    csrf = next(each["value"] for each in token if each["name"] == "csrftoken")
    answer = page.request.post(
        url, form={"reason": "let me", "csrfmiddlewaretoken": csrf, "expires_in": "900"}
    )
    assert answer.status == 403


@pytest.mark.parametrize("path", ["/", "/services/profile-api/breakers/posts", "/api/v1/fleet"])
def test_anonymous_users_see_the_login_page(browser: Browser, demo: Demo, path: str) -> None:
    answer = http.get(demo.url + path)
    assert answer.status_code == 302
    assert answer.headers["location"].startswith("/login")
