"""A process that calls through its breakers at a steady pace and tells what that took, as JSON.

    python -m benchmarks.load <breakers> <calls a second> <seconds> with|without

Imports no more than a service would: the agent only where it runs.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from breakers import CircuitBreaker

_BURST_S = 0.01


def load(breakers: int, rate: int, seconds: float, with_agent: bool) -> dict[str, Any]:
    """`percent` of a core for the process and `agent` for its other threads; `kb` is resident."""
    made = [CircuitBreaker(name=f"breaker {n}") for n in range(breakers)]
    agent = None
    if with_agent:
        from breakers.agent import start  # noqa: PLC0415 - what this measures

        agent = start(interval_s=1.0)
        while not agent.status().reports_safe:
            time.sleep(0.01)
    calls = 0
    began, cpu_began, agents_began = time.monotonic(), time.process_time(), _others_cpu_s()
    while (passed := time.monotonic() - began) < seconds:
        while calls < passed * rate:
            made[calls % breakers].call(int)
            calls += 1
        time.sleep(_BURST_S)
    result = {
        "calls": calls,
        "seconds": passed,
        "agent": 100 * (_others_cpu_s() - agents_began) / passed,
        "percent": 100 * (time.process_time() - cpu_began) / passed,
        "kb": _resident_kb(),
    }
    if agent is not None:
        agent.stop(10.0)
    return result


def _others_cpu_s() -> float:
    """CPU time of every thread but this one: here all others are the agent's."""
    others = (each for each in threading.enumerate() if each is not threading.current_thread())
    return sum(
        time.clock_gettime(time.pthread_getcpuclockid(each.ident)) for each in others if each.ident
    )


def _resident_kb() -> int:
    (line,) = (
        each for each in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in each
    )
    return int(line.split()[1])


if __name__ == "__main__":
    print(
        json.dumps(load(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), "with" in sys.argv))
    )
