"""Measures contenders side by side on a noisy machine: short rounds in turn, the best of each.

Noise only ever adds time, so the fastest of many short rounds is what the code itself costs; and
because the rounds are interleaved, a slow minute of the machine slows everybody.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping

Loop = Callable[[int], None]


def race(
    contenders: Mapping[str, Loop], rounds: int = 40, round_s: float = 0.01
) -> dict[str, float]:
    """Nanoseconds per call of each contender. A `Loop` makes the given number of calls."""
    sizes = {name: _size(loop, round_s) for name, loop in contenders.items()}
    best = dict.fromkeys(contenders, float("inf"))
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, loop in contenders.items():
                best[name] = min(best[name], _took(loop, sizes[name]) / sizes[name])
    finally:
        gc.enable()
    return {name: seconds * 1e9 for name, seconds in best.items()}


def _size(loop: Loop, round_s: float) -> int:
    """How many calls fill a round. What a look shows is only believed if a second one does too."""
    n = 1
    while True:
        took = min(_took(loop, n), _took(loop, n))
        if took > round_s / 4:
            return max(1, int(n * round_s / took))
        n *= 2


def _took(loop: Loop, n: int) -> float:
    began = time.perf_counter()
    loop(n)
    return time.perf_counter() - began


def table(results: Mapping[str, float], floor: str) -> str:
    """The results as lines, fastest first."""
    width = max(map(len, results))
    lines = [f"{'':{width}}  {'ns/call':>10}  {'× floor':>8}"]
    for name, ns in sorted(results.items(), key=lambda each: each[1]):
        lines.append(f"{name:{width}}  {ns:>10,.0f}  {ns / results[floor]:>8.2f}")
    return "\n".join(lines)


def last_line(ratio: float, floor: float, peer: str, peer_ratio: float) -> str:
    """What every run ends with."""
    return f"calls ratio={ratio:.2f} floor={floor:.0f} best_peer={peer}:{peer_ratio:.2f}"
