"""An operator tunes a timeout during an incident: evidence, what-if, canary, promotion, rollback.

The instances are real agents; their calls are simulated: each takes a time, and times out where the
policy in force says so.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from breakers import CircuitBreaker
from breakers.agent import Agent, start
from breakers.circuit.registry import Registry
from breakers.errors import CircuitBreakerOpen
from tests.e2e.dashboard_server import Site

SERVICE = "checkout"
CALLS_A_SECOND = 100


class Fleet:
    """Three instances that call `stock` until they are stopped."""

    def __init__(self, site: Site) -> None:
        self.failing = False
        token = site.dashboard.token(SERVICE)
        self.breakers: dict[str, CircuitBreaker] = {}
        self.agents: list[Agent] = []
        for name in ("one", "two", "three"):
            registry = Registry()
            self.breakers[name] = CircuitBreaker(
                name="stock", registry=registry, timeout_duration=1.0
            )
            self.breakers[name].declare(timeout=1.0)
            self.agents.append(
                start(
                    url=site.url,
                    token=token,
                    service=SERVICE,
                    instance=name,
                    registry=registry,
                    interval_s=0.5,
                )
            )
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        rng = random.Random(1)
        while not self._stopped.wait(0.1):
            for breaker in self.breakers.values():
                for _ in range(CALLS_A_SECOND // 10):
                    self._call(breaker, rng.lognormvariate(-3.0, 0.4), rng.random() < 0.01)

    def _call(self, breaker: CircuitBreaker, seconds: float, fails: bool) -> None:
        try:
            ticket, began = breaker.enter()
        except CircuitBreakerOpen:
            return
        limit = breaker.policy.timeout
        late = limit is not None and seconds > limit
        outcome = "failure" if fails or self.failing else "timeout" if late else "success"
        breaker._record(ticket, began, min(seconds, limit or seconds), outcome)

    def timeouts(self) -> list[float | None]:
        return [each.policy.timeout for each in self.breakers.values()]

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        for each in self.agents:
            each.stop(0.2)


@pytest.fixture
def fleet(site: Site) -> Iterator[Fleet]:
    running = Fleet(site)
    yield running
    running.stop()


def until(condition: object, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def timeout_in(page: Page) -> str:
    return page.get_by_label("Timeout", exact=True).input_value()


def test_an_operator_tunes_a_policy_with_evidence(
    site: Site, browser: Browser, fleet: Fleet
) -> None:
    page = site.page(browser, "admin")
    page.set_default_timeout(60_000)
    time.sleep(3)
    fleet.failing = True
    until(lambda: fleet.breakers["one"].state == "open")
    page.goto(f"{site.url}/services/{SERVICE}/breakers/stock")
    page.get_by_role("link", name="Edit and evidence").click()
    expect(page.get_by_role("heading", name="Policy of stock")).to_be_visible()

    # Drag the timeout.
    expect(page.locator("#cut")).to_contain_text("would have cut")
    box = page.locator("#chart-timeout .plotly").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.35, box["y"] + 80, steps=4)
    page.mouse.up()
    assert page.complaints == []  # type: ignore[attr-defined]
    assert re.fullmatch(r"[0-9.]+ m?s", timeout_in(page))
    expect(page.locator("#cut")).to_contain_text(re.compile(r"cut [0-9.]+ %"))

    # Read the what-if.
    page.get_by_role("button", name="Replay").click()
    expect(page.locator("#what-if-result")).to_contain_text(
        re.compile(r"Of [0-9,]+ calls the candidate refuses"), timeout=30_000
    )
    fleet.failing = False
    until(lambda: all(each.state == "closed" for each in fleet.breakers.values()))

    # A worse candidate is taken back by itself.
    page.get_by_label("Timeout", exact=True).fill("30 ms")
    page.get_by_label("Failure threshold").fill("off")
    page.get_by_role("checkbox", name="one").check()
    page.get_by_role("button", name="Roll out to a canary").click()
    until(lambda: fleet.breakers["one"].policy.timeout == 0.03)
    assert fleet.breakers["two"].policy.timeout == 1.0
    expect(page.locator("[data-rollout-sentence]")).to_contain_text(
        re.compile(r"halted: success [0-9.]+ % against [0-9.]+ %, p <"), timeout=60_000
    )
    until(lambda: fleet.timeouts() == [1.0, 1.0, 1.0])

    # A better one is promoted, and every instance confirms it.
    page.reload()
    page.get_by_label("Timeout", exact=True).fill("500 ms")
    page.get_by_role("checkbox", name="one").check()
    page.get_by_role("button", name="Roll out to a canary").click()
    until(lambda: fleet.timeouts() == [0.5, 1.0, 1.0])
    page.get_by_role("button", name="Promote now").click()
    until(lambda: fleet.timeouts() == [0.5, 0.5, 0.5])
    revision = site.dashboard.python(
        f"from dashboard.fleet.services import revision\nprint(json.dumps(revision({SERVICE!r})))"
    )

    def confirmed() -> bool:
        page.reload()
        shown = page.locator("#applied tbody tr td:nth-child(3)").all_inner_texts()
        return shown == [str(revision)] * 3

    until(confirmed)

    # Roll back: the first version must be there to go back to.
    page.get_by_label("Timeout", exact=True).fill("700 ms")
    page.get_by_role("button", name="Save", exact=True).last.click()
    until(lambda: fleet.timeouts() == [0.7, 0.7, 0.7])
    page.get_by_role("button", name="Roll back to 1").click()
    until(lambda: fleet.timeouts() == [0.5, 0.5, 0.5])
    assert page.complaints == []  # type: ignore[attr-defined]
    page.context.close()
