"""What a breaker weighs."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

from breakers import CircuitBreaker

_MANY = 200


def _bytes_each(**fields: Any) -> float:
    """Bytes of one of many breakers that have seen some traffic of varied latency."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = []
    for _ in range(_MANY):
        breaker = CircuitBreaker(failure_threshold=None, **fields)
        for n in range(150):
            entry, start = breaker.enter()
            breaker.leave(entry, start - 0.0005 * 1.08**n)
        breaker.snapshot()
        kept.append(breaker)
    gc.collect()
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return used / len(kept)


def main() -> None:
    """Print both figures of the target."""
    count = _bytes_each(window_type="count", window_size=100)
    timed = _bytes_each(window_type="time", window_size=60)
    print(f"count window of 100 calls, histogram in use: {count:,.0f} bytes a breaker")
    print(f"time window of 60 s, histogram in use:       {timed:,.0f} bytes a breaker")
    print(f"calls-memory count_100={count:.0f} limit=8192 time_60={timed:.0f} limit=32768")
