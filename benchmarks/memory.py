"""What a breaker weighs."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import aiobreaker
import circuitbreaker
import hyx.circuitbreaker
import interlock
import nopanic
import purgatory
import pybreaker
import pyresilience

from benchmarks.contenders import NEVER, work
from benchmarks.naive import NaiveBreaker
from benchmarks.rounds import last_line
from breakers import CircuitBreaker
from breakers.circuit.recorder import ENTRY, RECORDED_CALLS

_MANY = 200
_LIMITS = {"count": 16_384, "time": 32_768}
FLOOR = "naive class"


def _bytes_each(make: Callable[[], Any]) -> float:
    """Bytes of one of many breakers."""
    make()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = [make() for _ in range(_MANY)]
    gc.collect()
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return used / len(kept)


def _ours(**fields: Any) -> CircuitBreaker:
    """One that has seen some traffic of varied latency, so that its histogram is in use."""
    breaker = CircuitBreaker(failure_threshold=None, **fields)
    for n in range(150):
        entry, start = breaker.enter()
        breaker.leave(entry, start - 0.0005 * 1.08**n)
    breaker.snapshot()
    return breaker


def _theirs() -> dict[str, Callable[[], Any]]:
    """The peers', each after a few calls."""
    numbers = count()
    factory = purgatory.SyncCircuitBreakerFactory(default_threshold=NEVER)

    def called(breaker: Any, way: str) -> Any:
        for _ in range(150):
            getattr(breaker, way)(work)
        return breaker

    def wrapped(wrap: Any) -> Any:
        call = wrap(work)
        for _ in range(150):
            call()
        return call

    def in_purgatory() -> Any:
        breaker = factory.get_breaker(f"breaker {next(numbers)}")
        for _ in range(150):
            with breaker:
                work()
        return breaker

    minute = timedelta(seconds=60)
    return {
        "naive class": lambda: called(NaiveBreaker(NEVER), "call"),
        "pybreaker": lambda: called(pybreaker.CircuitBreaker(NEVER), "call"),
        "circuitbreaker": lambda: called(circuitbreaker.CircuitBreaker(NEVER), "call"),
        "aiobreaker": lambda: called(aiobreaker.CircuitBreaker(NEVER, minute), "call"),
        "purgatory": in_purgatory,
        "hyx": lambda: hyx.circuitbreaker.consecutive_breaker(failure_threshold=NEVER),
        "nopanic": lambda: wrapped(nopanic.CircuitBreaker(min_calls=NEVER)),
        "pyresilience": lambda: wrapped(
            pyresilience.resilient(
                circuit_breaker=pyresilience.CircuitBreakerConfig(failure_threshold=NEVER)
            )
        ),
        "interlock": lambda: called(interlock.CircuitBreaker(name="a breaker"), "call_sync"),
    }


def main() -> None:
    """Print what each weighs, and ours against both limits."""
    sizes = {name: _bytes_each(make) for name, make in _theirs().items()}
    floor = sizes[FLOOR]
    best = min(sizes.keys() - {FLOOR}, key=sizes.__getitem__)
    count_100 = _bytes_each(lambda: _ours(window_type="count", window_size=100))
    time_60 = _bytes_each(lambda: _ours(window_type="time", window_size=60))
    rows = sizes | {"switchgear, 100 calls": count_100, "switchgear, 60 s": time_60}
    width = max(map(len, rows))
    print(f"{'':{width}}  {'bytes':>8}  {'× floor':>8}")
    for name, size in sorted(rows.items(), key=lambda pair: pair[1]):
        print(f"{name:{width}}  {size:>8,.0f}  {size / floor:>8.2f}")
    print("Only switchgear, interlock and nopanic keep a window, only switchgear a histogram.")
    print("tenacity and stamina have no breaker.")
    recorder = RECORDED_CALLS * ENTRY.size
    print(f"{recorder} bytes of each are the flight recorder ({RECORDED_CALLS} calls).")
    print(f"count window of 100 calls: {count_100:.0f} bytes, limit {_LIMITS['count']}")
    print(f"time window of 60 s: {time_60:.0f} bytes, limit {_LIMITS['time']}")
    print(last_line(count_100 / floor, floor, best, sizes[best] / floor))
