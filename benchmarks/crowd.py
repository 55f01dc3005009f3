"""Many threads through one breaker: together they must not be slower than one alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import circuitbreaker
import pybreaker

from benchmarks.contenders import NEVER, work
from breakers import CircuitBreaker

_CALLS = 60_000


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
    return calls / (time.perf_counter() - began)


def _best(call: Callable[[], object], threads: int, calls: int, rounds: int = 7) -> float:
    return max(_throughput(call, threads, calls) for _ in range(rounds))


def main(threads: int) -> None:
    """Print throughputs, and check that every call was counted."""
    ours = CircuitBreaker(failure_rate_threshold=0.5)
    alone, together = _best(lambda: ours.call(work), 1, _CALLS), 0.0
    together = _best(lambda: ours.call(work), threads, _CALLS)
    counted = ours.snapshot().counts["success"]
    made = 7 * (_CALLS + _CALLS // threads * threads)
    print(
        f"calls that return at once: 1 thread {alone:,.0f}/s, {threads} threads {together:,.0f}/s"
    )
    print(f"counted {counted:,} of {made:,} calls")
    sleeping = {
        "switchgear": CircuitBreaker().call,
        "circuitbreaker": circuitbreaker.CircuitBreaker(failure_threshold=NEVER).call,
        "pybreaker": pybreaker.CircuitBreaker(fail_max=NEVER).call,
    }
    for name, call in sleeping.items():
        rate = _throughput(lambda call=call: call(time.sleep, 0.001), threads, 2000)  # type: ignore[misc]
        print(f"calls that sleep 1 ms, {threads} threads: {name} {rate:,.0f}/s")
    exact = "yes" if counted == made else "no"
    print(f"calls-threads ratio={together / alone:.2f} floor=1.00 exact={exact}")
