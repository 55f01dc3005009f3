"""One browser window on the wall, and what it costs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

from playwright.sync_api import BrowserContext

from benchmarks.wall.world import DashboardLogin

PATIENCE_MS = 120_000
KEY_EVERY_MS = 100
QUERIES = (
    "state:open service-0",
    "posts -state:closed",
    "override: zone:eu",
    "errors:>50 rate:>10",
)
# Counts messages, and notes from each key how long it took to the paint after it.
_WATCH = """
(() => {
  const watch = (window.__watch = { frames: 0, since: 0, keys: [], long: [] });
  const Socket = window.WebSocket;
  window.WebSocket = class extends Socket {
    constructor(...args) {
      super(...args);
      this.addEventListener("message", () => (watch.frames += 1));
    }
  };
  new PerformanceObserver((list) => {
    for (const each of list.getEntries()) watch.long.push([each.startTime, each.duration]);
  }).observe({ type: "longtask" });
  let pressed = 0;
  addEventListener("keydown", (event) => (pressed = event.timeStamp), true);
  addEventListener("input", () => {
    const from = pressed;
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => watch.keys.push(performance.now() - from);
      port2.postMessage(0);
    });
  });
})();
"""


@dataclass
class Longest:
    """A task by the clock, which runs on while another process has the core, and by what it
    worked."""

    clock_ms: float = 0.0
    worked_ms: float = 0.0


class Wall:
    """The wall as a person has it open."""

    def __init__(self, context: BrowserContext, login: DashboardLogin) -> None:
        self.rate = 0.0
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.add_init_script(_WATCH)
        self.cdp = context.new_cdp_session(self.page)
        self.cdp.send("Performance.enable")
        self.page.goto(login.url)
        self.page.get_by_label("Name").fill(login.person)
        self.page.get_by_label("Password").fill(login.password)
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_selector("#connection[data-status=live]")
        # In the default view healthy services are folded to a line each.
        self.page.select_option("#group", "service")
        self.page.wait_for_selector("#wall .breaker")

    def wait(self, seconds: float) -> None:
        """Only look at it."""
        self.page.wait_for_timeout(seconds * 1000)

    def settle(self, seconds: float) -> None:
        """Let the load be over, and begin to count."""
        self.wait(seconds)
        self.page.evaluate("__watch.long.length = 0")

    def _metrics(self) -> dict[str, float]:
        found = self.cdp.send("Performance.getMetrics")["metrics"]
        return {each["name"]: each["value"] for each in found}

    def busy(self, seconds: float) -> float:
        """What the main thread works meanwhile, in per cent of one core. Frames are counted."""
        before, frames = self._metrics(), self._frames()
        self.wait(seconds)
        after = self._metrics()
        took = after["Timestamp"] - before["Timestamp"]
        self.rate = (self._frames() - frames) / took
        return 100 * (after["TaskDuration"] - before["TaskDuration"]) / took

    def _frames(self) -> int:
        return int(self.page.evaluate("__watch.frames"))

    @contextmanager
    def traced(self) -> Iterator[Longest]:
        """The longest task of the main thread meanwhile."""
        browser = self.page.context.browser
        assert browser
        longest = Longest()
        browser.start_tracing(page=self.page, categories=["toplevel"])
        yield longest
        tasks = _main_thread(json.loads(browser.stop_tracing())["traceEvents"], self._pid())
        longest.clock_ms = max((each["dur"] for each in tasks), default=0) / 1000
        longest.worked_ms = max((each.get("tdur", 0) for each in tasks), default=0) / 1000

    def _pid(self) -> int:
        """The process of the page, to know its tasks from those of others."""
        browser = self.page.context.browser
        assert browser
        info = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
        busiest = max(
            (each for each in info if each["type"] == "renderer"), key=lambda p: p["cpuTime"]
        )
        return int(busiest["id"])

    def longest_seen(self) -> float:
        """The longest task that the page's own observer has seen since it settled, in ms; it sees
        those over 50."""
        long = self.page.evaluate("__watch.long")
        return max((duration for _, duration in long), default=0.0)

    def filter(self, presses: int) -> float:
        """Type filters and take them back; from key to paint, the 95th percentile in ms."""
        self.page.evaluate("__watch.keys.length = 0")
        self.page.keyboard.press("/")
        for key in islice(_presses(), presses):
            self.page.keyboard.press(key)
            self.page.wait_for_timeout(KEY_EVERY_MS)
        self.wait(1.0)
        keys = sorted(self.page.evaluate("__watch.keys"))
        self.page.locator("#filter").fill("")
        assert len(keys) >= 0.98 * presses, f"{len(keys)} of {presses} keys were painted"
        return float(keys[int(len(keys) * 0.95)])

    def scroll(self) -> None:
        """To the end and back by the wheel."""
        self.page.mouse.move(700, 600)
        for turn in (900,) * 15 + (-900,) * 15:
            self.page.mouse.wheel(0, turn)
            self.page.wait_for_timeout(60)

    def heap(self) -> float:
        """What the page's scripts hold after a collection, in MB."""
        self.cdp.send("HeapProfiler.collectGarbage")
        return self._metrics()["JSHeapUsedSize"] / 1e6

    def heap_over(self, seconds: float, every: float) -> list[float]:
        """The heap again and again."""
        found = [self.heap()]
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.wait(every)
            found.append(self.heap())
        return found


def _presses() -> Iterator[str]:
    for query in cycle(QUERIES):
        yield from query
        yield from ["Backspace"] * len(query)


def _main_thread(events: list[dict[str, Any]], pid: int) -> list[dict[str, Any]]:
    """The tasks of the page's main thread."""
    main = {
        (each["pid"], each["tid"])
        for each in events
        if each.get("name") == "thread_name" and each["args"]["name"] == "CrRendererMain"
    }
    if any(process == pid for process, _ in main):
        main = {each for each in main if each[0] == pid}
    return [
        each
        for each in events
        if each.get("ph") == "X"
        and "RunTask" in each.get("name", "")
        and (each["pid"], each["tid"]) in main
    ]
