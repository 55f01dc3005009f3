"""Many threads through one breaker: together they must not be slower than one alone.

One thread and many take turns, in rounds that are long enough for the interpreter to switch between
threads many times (it does so every 5 ms), each round's two halves in the other order than the
last's; the figure is the median of the rounds' ratios. What one round says is noise.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from benchmarks.contenders import OWN, floor, sync_calls, sync_wrappers, work
from benchmarks.rounds import last_line
from breakers import CircuitBreaker

_ROUND_S = 0.15
_SLEEPS = 1600


@dataclass
class Result:
    """Nanoseconds a call alone and together, their ratio, and calls a second that sleep 1 ms."""

    alone: float
    together: float
    ratio: float
    sleeping: float


def _throughput(call: Callable[[], object], threads: int, calls: int) -> float:
    """Calls a second of all threads together."""
    start = threading.Barrier(threads + 1)

    def run() -> None:
        start.wait()
        for _ in range(calls // threads):
            call()

    crowd = [threading.Thread(target=run) for _ in range(threads)]
    for thread in crowd:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in crowd:
        thread.join()
    return calls // threads * threads / (time.perf_counter() - began)


def _compare(
    call: Callable[[], object], sleep: Callable[[], object], threads: int, rounds: int
) -> tuple[Result, int]:
    """The result, and how many calls of the first kind were made for it."""
    calls = int(_throughput(call, 1, 2000) * _ROUND_S)
    made = 2000
    alone: list[float] = []
    together: list[float] = []
    for number in range(rounds):
        for crowd, rates in ((1, alone), (threads, together))[:: 1 if number % 2 else -1]:
            rates.append(_throughput(call, crowd, calls))
            made += calls // crowd * crowd
    ratio = median(many / one for many, one in zip(together, alone, strict=True))
    slept = _throughput(sleep, threads, _SLEEPS)
    return Result(1e9 / median(alone), 1e9 / median(together), ratio, slept), made


def _pause() -> None:
    time.sleep(0.001)


def _calls() -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """Each contender's call that returns at once, and the one that sleeps."""
    them: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {"floor": (floor, _pause)}
    sleeping = sync_calls()
    for name, call in sync_calls().items():
        them[name] = (partial(call, work), partial(sleeping[name], _pause))
    for name, wrap in sync_wrappers().items():
        them[name] = (wrap(work), wrap(_pause))
    return them


def main(threads: int, rounds: int) -> None:
    """Print throughputs, and check that every call was counted."""
    calls = _calls()
    ours = CircuitBreaker(failure_rate_threshold=0.5, window_size=100)
    calls["switchgear"] = (partial(ours.call, work), calls["switchgear"][1])
    results: dict[str, Result] = {}
    for name, (call, sleep) in calls.items():
        results[name], made = _compare(call, sleep, threads, rounds)
        if name == "switchgear":
            counted = ours.snapshot().counts["success"]
            exact = f"switchgear counted {counted:,} of {made:,} calls"
    print(_table(results, threads))
    print("hyx knows coroutines only: it is in --async.")
    print(exact)
    best = max(results.keys() - OWN, key=lambda name: results[name].ratio)
    one = results["switchgear"]
    print(last_line(one.ratio, one.alone, best, results[best].ratio))


def _table(results: dict[str, Result], threads: int) -> str:
    width = max(map(len, results))
    head = ("1, ns/call", f"{threads}, ns/call", f"× of {threads} over 1", "sleeping 1 ms, calls/s")
    lines = [f"{'threads:':{width}}  " + "  ".join(head)]
    for name, each in sorted(results.items(), key=lambda pair: pair[1].together):
        cells = (f"{each.alone:,.0f}", f"{each.together:,.0f}", f"{each.ratio:.2f}",
                 f"{each.sleeping:,.0f}")  # fmt: skip
        row = "  ".join(f"{cell:>{len(title)}}" for cell, title in zip(cells, head, strict=True))
        lines.append(f"{name:{width}}  {row}")
    return "\n".join(lines)
