"""What the wall costs a browser: the real page in real Chromium, from a real dashboard process over
its real socket, at 100 to 20,000 breakers, with four frames a second of each service (one at
20,000) in which every breaker has changed. Rows are grouped by service; none is folded away.

    python -m benchmarks.wall                at most 4 minutes
    python -m benchmarks.wall --minutes 10   the same, with ten minutes for the heap

busy is what the page's main thread works (scripting, style, layout, paint) of one core; filter is
from a key's press to the paint after it; the heap is read after a collection.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from playwright.sync_api import Browser, sync_playwright

from benchmarks.wall.browser import Wall
from benchmarks.wall.fleet import A_SERVICE, tick_s
from benchmarks.wall.world import dashboard, launch, prepared

SIZES = (100, 1000, 5000, 20_000)
BUSY_S = {100: 8.0, 1000: 8.0, 5000: 15.0, 20_000: 20.0}
KEYS = {100: 40, 1000: 40, 5000: 100, 20_000: 60}
HEAP_EVERY_S = 5.0
SETTLE_S = 5.0
TRACED_S = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wall", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--minutes", type=float, default=0.6, help="for the heap, at 20,000")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, choices=SIZES)
    options = parser.parse_args()
    with sync_playwright() as playwright, prepared() as env:
        browser = launch(playwright)
        for breakers in options.sizes:
            minutes = options.minutes if breakers == options.sizes[-1] else 0.0
            print(measure(browser, env, breakers, minutes), flush=True)
        browser.close()


def measure(browser: Browser, env: dict[str, str], breakers: int, minutes: float) -> str:
    """The line of one size, after what is to be said about it."""
    with opened(browser, env, breakers) as wall:
        wall.settle(SETTLE_S)
        busy = wall.busy(BUSY_S[breakers])
        with wall.traced() as longest:
            wall.wait(TRACED_S)
            filter_ms = wall.filter(KEYS[breakers])
            wall.scroll()
        longest_ms = max(longest.clock_ms, wall.longest_seen())
        heap = wall.heap_over(minutes * 60, HEAP_EVERY_S) if minutes else [wall.heap()]
    wanted = -(-breakers // A_SERVICE) / tick_s(breakers)
    third = max(1, len(heap) // 3)
    growth = median(heap[-third:]) - median(heap[:third])
    return (
        f"  {wall.rate:.0f} of {wanted:.0f} frames a second, heap {heap[-1]:.1f} MB, "
        f"longest task {longest.worked_ms:.0f} ms of processor time\n"
        f"wall breakers={breakers} busy={busy:.1f} longest_task_ms={longest_ms:.0f} "
        f"filter_p95_ms={filter_ms:.0f} heap_growth_mb={growth:.1f}"
    )


@contextmanager
def opened(browser: Browser, env: dict[str, str], breakers: int) -> Iterator[Wall]:
    """A browser window in which an operator looks at the wall of a fleet."""
    with dashboard(env, breakers) as login:
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        yield Wall(context, login)
        context.close()


if __name__ == "__main__":
    main()
