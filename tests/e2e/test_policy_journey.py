"""An operator tunes a timeout during an incident: evidence, what-if, canary, promotion, rollback;
refusals, recordings and policies as code on the same running fleet. The tests build on each other:
history takes its time to come about."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.dashboard_server import Site
from tests.e2e.policy_fleet import BREAKER, NAMES, SERVICE, Fleet, running_fleet
from tests.examples.running import ROOT, eventually

PAGE = f"/services/{SERVICE}/breakers/{BREAKER}"
INCIDENT = "stock down"
# Limits, not expectations: each step takes a few seconds at most on an idle machine.
LONG_MS = 90_000
LONG_S = 30.0  # `eventually` allows three times as long


@pytest.fixture(scope="module")
def fleet(site: Site) -> Iterator[Fleet]:
    with running_fleet(site) as running:
        yield running


@pytest.fixture
def page(site: Site, browser: Browser, fleet: Fleet) -> Iterator[Page]:
    """The window of a person who may change policies and operate."""
    page = site.page(browser, "admin")
    page.set_default_timeout(LONG_MS)
    expect.set_options(timeout=LONG_MS)
    yield page
    expect.set_options(timeout=5_000)
    assert page.complaints == []  # type: ignore[attr-defined]
    page.context.close()


def timeout_field(page: Page) -> Locator:
    return page.get_by_label("Timeout", exact=True)


def wait_for_history(page: Page, site: Site, wanted: Callable[[dict[str, Any]], bool]) -> None:
    """The evidence comes from stored history, which follows the fleet by some seconds."""
    url = f"{site.url}{PAGE}/policy/latency?seconds=900"

    def is_there() -> bool:
        answer = page.request.get(url)
        return answer.ok and wanted(answer.json())

    eventually(is_there, LONG_S)


def drag_the_timeout(page: Page) -> None:
    box = page.locator("#chart-timeout .plotly").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.35, box["y"] + 80, steps=4)
    page.mouse.up()


def roll_out(page: Page, timeout: str, by_itself: bool = True) -> None:
    """Put a timeout on instance one alone."""
    timeout_field(page).fill(timeout)
    page.get_by_role("checkbox", name="one").check()
    page.get_by_role("checkbox", name="Promote by itself").set_checked(by_itself)
    page.get_by_role("button", name="Roll out to a canary").click()


def until_reloaded(page: Page, selector: str, words: str) -> None:
    """What is stored behind the reports comes with a later load of the page."""

    def is_there() -> bool:
        page.reload()
        return words in page.locator(selector).inner_text()

    eventually(is_there, LONG_S)


def expect_applied(page: Page, *instances: str, result: str = "applied") -> None:
    """The page follows by itself: nobody reloads it."""
    for name in instances:
        row = page.locator(f"#applied tr[data-instance='{name}']")
        expect(row).to_have_attribute("data-result", result)


def test_an_operator_tunes_a_policy_with_evidence(page: Page, site: Site, fleet: Fleet) -> None:
    wait_for_history(page, site, lambda found: found["success"] > 100)
    fleet.failing = True
    eventually(lambda: "open" in fleet.states(), LONG_S)

    # From the breaker's page to the editor.
    page.goto(f"{site.url}{PAGE}")
    until_reloaded(page, "#trip", "opened: 5 failures in a row")
    wait_for_history(page, site, lambda found: "It opened" in found["words"])
    page.get_by_role("link", name="Edit and evidence").click()
    expect(page.get_by_role("heading", name=f"Policy of {BREAKER}")).to_be_visible()

    # Drag the timeout on the histogram.
    expect(page.locator("#cut")).to_contain_text("A timeout of 1.00 s would have cut 0.00 %")
    drag_the_timeout(page)
    assert re.fullmatch(r"[0-9.]+ m?s", timeout_field(page).input_value())
    assert timeout_field(page).input_value() != "1.00 s"
    expect(page.locator("#cut")).to_contain_text(re.compile(r"cut (?!0\.00)[0-9.]+ %"))
    page.locator("#latency-range").select_option("15 min")
    expect(page.locator("#evidence")).to_contain_text(re.compile(r"It opened (once|twice|[0-9])"))

    # Read the what-if, with the deploy before it.
    site.dashboard.python(
        "from dashboard.alerts.services import add_marker\n"
        f"add_marker(None, text='v7 goes out', service={SERVICE!r}, version='v7')\n"
        "print(json.dumps(None))"
    )
    page.get_by_role("button", name="Replay").click()
    expect(page.locator("#what-if-result")).to_contain_text(
        re.compile(
            r"Of [0-9,]+ calls the candidate refuses [0-9,]+ \(the policy in force [0-9,]+\)"
        )
    )
    expect(page.locator("#what-if-strips h3")).to_have_text(
        ["What happened", "Policy in force", "Candidate"]
    )
    # Those of the replays, and what is stored of what happened.
    expect(page.locator("#what-if-strips svg").nth(6)).to_be_attached()
    strips = page.locator("#what-if-strips")
    expect(strips.locator(".marker-line title").first).to_have_text("v7 goes out")
    expect(strips.locator(".chart-markers")).to_contain_text("v7 goes out")
    page.get_by_label("Save the range as incident").fill(INCIDENT)
    page.locator("#save-incident").click()
    expect(page.locator("#what-if-result")).to_have_text(f"Saved as {INCIDENT}.")
    fleet.failing = False
    eventually(lambda: fleet.states() == {"closed"}, LONG_S)

    # A worse candidate is judged and taken back by itself.
    page.get_by_label("Failure threshold").fill("off")
    roll_out(page, "30 ms")
    eventually(lambda: fleet.breakers["one"].policy.timeout == 0.03, LONG_S)
    assert fleet.breakers["two"].policy.timeout == 1.0
    sentence = page.locator("[data-rollout-sentence]")
    expect(sentence).to_contain_text(
        re.compile(r"halted: success [0-9.]+ % against [0-9.]+ %, p < 0\.[0-9]+")
    )
    expect(page.locator(".rollout")).to_have_attribute("data-state", "halted")
    page.reload()
    expect(page.locator("#chart-rollout .annotation")).to_contain_text("v7")
    eventually(lambda: fleet.timeouts() == [1.0, 1.0, 1.0], LONG_S)

    # A better one is judged and promoted, and every instance confirms it.
    page.reload()
    roll_out(page, "500 ms", by_itself=False)
    eventually(lambda: fleet.timeouts() == [0.5, 1.0, 1.0], LONG_S)
    expect(sentence).to_contain_text(
        re.compile(r"(undecided|safe): success [0-9.]+ % against [0-9.]+ %")
    )
    page.get_by_role("button", name="Promote now").click()
    expect(page.locator(".rollout")).to_have_attribute("data-state", "promoted")
    eventually(lambda: fleet.timeouts() == [0.5, 0.5, 0.5], LONG_S)
    expect_applied(page, *NAMES)
    expect(page.locator("#versions tbody tr").first).to_contain_text("timeout inherited → 500 ms")

    # Roll back.
    page.get_by_role("button", name="Roll back to 0").click()
    eventually(lambda: fleet.timeouts() == [1.0, 1.0, 1.0], LONG_S)
    expect_applied(page, *NAMES)


def test_an_instance_that_refuses_is_shown_with_its_reason(
    page: Page, site: Site, fleet: Fleet
) -> None:
    page.goto(f"{site.url}{PAGE}/policy")
    timeout_field(page).fill("150 ms")
    page.get_by_role("button", name="Save", exact=True).last.click()
    eventually(lambda: fleet.timeouts() == [0.15, 0.15, 1.0], LONG_S)
    expect_applied(page, "one", "two")
    expect_applied(page, "three", result="refused")
    reason = "timeout is 0.15; this process obeys at least 0.2 (obey=)"
    row = page.locator("#applied tr[data-instance='three']")
    expect(row).to_contain_text(f"refused: {reason}")
    page.goto(f"{site.url}{PAGE}")
    expect(page.locator(".policy-refused")).to_have_text(f"three refused it: {reason}")

    # A canary that refuses its candidate proves nothing.
    page.goto(f"{site.url}{PAGE}/policy")
    timeout_field(page).fill("190 ms")
    page.get_by_role("checkbox", name="three").check()
    page.get_by_role("button", name="Roll out to a canary").click()
    expect(page.locator("[data-rollout-sentence]")).to_contain_text(
        "halted: three refused the candidate: timeout is 0.19"
    )
    page.get_by_role("button", name="Roll back to 1").click()
    eventually(lambda: fleet.timeouts() == [0.5, 0.5, 0.5], LONG_S)
    expect_applied(page, *NAMES)


def test_calls_are_recorded_and_replayed_from_the_page(
    page: Page, site: Site, fleet: Fleet
) -> None:
    page.goto(f"{site.url}{PAGE}")
    page.get_by_role("button", name="Record this breaker for 10 minutes").click()
    expect(page.locator("#recordings")).to_contain_text("ordered by admin")
    eventually(
        lambda: all(len(each.recorded_calls()) > 300 for each in fleet.breakers.values()), LONG_S
    )
    page.get_by_role("button", name="Stop recording").click()
    expect(page.get_by_role("button", name="Record this breaker for 10 minutes")).to_be_visible()

    def recorded() -> bool:
        page.reload()
        figures = page.locator("#recordings tbody td.num").all_inner_texts()
        return len(figures) == 2 and int(figures[0]) > 100 and figures[1] == "3"

    eventually(recorded, LONG_S)
    page.get_by_role("link", name="Edit and evidence").click()
    page.locator("select[name=source]", has_text="recorded calls").select_option(
        "recorded calls, exact"
    )
    timeout_field(page).fill("30 ms")
    page.get_by_role("button", name="Replay").click()
    expect(page.locator("#what-if-result")).to_contain_text("The replay is exact")


def cli(home: Path, site: Site, token: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line as a user runs it."""
    return subprocess.run(
        [sys.executable, "-m", "breakers.cli", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home),
            "SWITCHGEAR_URL": site.url,
            "SWITCHGEAR_API_TOKEN": token,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_plan_follows_the_page_and_fails_for_a_saved_incident(
    page: Page, site: Site, fleet: Fleet, tmp_path: Path
) -> None:
    token = site.personal_token("admin")
    file = tmp_path / "policies.yaml"

    def plan() -> subprocess.CompletedProcess[str]:
        return cli(tmp_path, site, token, "policies", "plan", str(file))

    exported = cli(tmp_path, site, token, "policies", "export", str(file))
    assert exported.returncode == 0, exported.stderr
    planned = plan()
    assert (planned.returncode, planned.stdout) == (0, "no changes\n"), planned.stderr

    # One edit on the page: exactly that field, the other way round.
    page.goto(f"{site.url}{PAGE}/policy")
    timeout_field(page).fill("700 ms")
    page.get_by_role("button", name="Save", exact=True).last.click()
    eventually(lambda: fleet.timeouts() == [0.7, 0.7, 0.7], LONG_S)
    planned = plan()
    assert planned.stdout.splitlines()[0] == f"{SERVICE}/{BREAKER}: timeout 700 ms → 500 ms"
    assert sum("→" in line for line in planned.stdout.splitlines()) == 1
    assert planned.returncode == 0, planned.stdout

    # A candidate that the saved incident would have gone worse under.
    exported = cli(tmp_path, site, token, "policies", "export", str(file))
    text = file.read_text()
    assert "timeout: 700 ms" in text
    file.write_text(
        text.replace("timeout: 700 ms", "timeout: 700 ms\n        failure_threshold: off")
    )
    planned = plan()
    assert planned.returncode == 2, planned.stdout + planned.stderr
    assert re.search(
        rf"worse: {INCIDENT}: [0-9,]+ calls fail or are lost, [0-9,]+ under the policy in force",
        planned.stdout,
    )
