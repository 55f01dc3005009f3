"""`switchgear` in a real terminal against the demo: watch, trip, auto, undo, as README.md shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.demo.conftest import Demo, Visit
from tests.e2e.demo.terminal import Terminal, terminal
from tests.examples.running import ROOT, eventually

README = (ROOT / "README.md").read_text()


@pytest.fixture
def shell(demo: Demo, operator: Visit, hands_off: None, tmp_path: Path) -> Iterator[Terminal]:
    """A terminal with a profile: the token is created on the page, as an operator does."""
    page = operator.page
    page.goto(f"{demo.url}/tokens")
    page.get_by_label("Name").fill("terminal")
    for scope in ("read", "operate"):
        page.locator(f"input[name=scopes][value={scope}]").check()
    page.get_by_role("button", name="Create a token").click()
    token = page.locator("[role=status] code").inner_text()
    env = {"SWITCHGEAR_CONFIG": str(tmp_path / "config.json"), "NO_PROXY": "*"}
    with terminal(tmp_path, env) as opened:
        opened.type(f"switchgear login {demo.url} --token {token}")
        opened.see("Logged in as operator")
        yield opened


def in_readme(command: str) -> str:
    """A command that README.md shows."""
    assert f"    switchgear {command}" in README, f"README.md does not show {command!r}"
    return f"switchgear {command}"


def state(demo: Demo, visit: Visit) -> str:
    """The state to which the breaker of the demo is forced, as the API has it."""
    shown = visit.page.request.get(f"{demo.url}/api/v1/fleet").json()
    for service in shown["services"]:
        for each in service["breakers"]:
            if (service["name"], each["name"]) == ("profile-api", "posts"):
                return each["override"]["state"] if each["override"] else ""
    return "unknown"


def test_trip_shows_the_preview_asks_and_shows_each_confirmation(
    shell: Terminal, demo: Demo, operator: Visit
) -> None:
    shell.clear()
    trip = in_readme('trip profile-api/posts --for 10m --reason "INC-1"')
    shell.type(trip)
    asked = shell.see("Forced open?", "calls/s from 4 instances of 1 services")
    assert "A fallback has been seen for" in asked
    assert state(demo, operator) == ""
    shell.type("n")
    shell.see("aborted")
    assert state(demo, operator) == ""
    shell.clear()
    shell.type(trip)
    shell.see("Forced open?")
    shell.type("y")
    done = shell.see("4 of 4 instances confirmed", "Undo with: switchgear undo")
    assert state(demo, operator) == "forced_open"
    act = re.search(r"switchgear undo (\S+)", done)
    assert act
    in_readme("undo ACT")
    shell.clear()
    shell.type(f"switchgear undo {act[1]}; echo ended with $?")
    shell.see("profile-api/posts: undo", "ended with 0")
    eventually(lambda: state(demo, operator) == "", 20)


def test_watch_shows_an_override_as_it_begins_and_ends(
    shell: Terminal, demo: Demo, operator: Visit
) -> None:
    shell.clear()
    shell.type(in_readme("watch"))
    live = shell.see("breakers", "profile-api", "posts", "Ctrl-C ends")
    assert "LAST 30" in live
    forced = {"targets": '[["profile-api", "posts"]]', "reason": "seen in the terminal"}
    page = operator.page
    csrf = next(c["value"] for c in page.context.cookies() if c["name"] == "csrftoken")
    form = {**forced, "csrfmiddlewaretoken": csrf, "expires_in": "900"}
    headers = {"X-Requested-With": "fetch"}
    assert page.request.post(f"{demo.url}/acts/force-open", form=form, headers=headers).ok
    shell.see("forced open", "operator, ", "seen in the terminal")
    shell.press("C-c")
    shell.see("ready>")
    assert "Traceback" not in shell.screen()
    shell.clear()
    shell.type(in_readme('auto profile-api/posts --reason "over"') + " --yes; echo ended with $?")
    shell.see("profile-api/posts: automatic", "ended with 0")
    eventually(lambda: state(demo, operator) == "", 20)
