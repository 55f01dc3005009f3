"""What the agent costs the service that it runs in.

    python -m benchmarks.agent                  20 breakers, 1,000 calls a second, in all
    python -m benchmarks.agent --seconds 60     for longer

A process calls through its breakers at a steady pace and reports to a dashboard in another process
over a real WebSocket, once a second. `cpu_percent` is the CPU time of the agent's own threads, read
from the kernel, in percent of one core. `memory_kb` is how much more memory is resident than in a
process with the same load and no agent: what it imports (websockets, msgspec, ssl) included.
A dashboard that is away for hours is simulated, for what its reports take then.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

from breakers import CircuitBreaker, Registry
from breakers.agent.collector import Collector
from breakers.agent.outbox import Outbox
from breakers.testing import FakeClock, FakeDashboard

_BUFFER_BYTES = 4 * 1024 * 1024
_OFFLINE_S = 2 * 3600


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agent", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--breakers", type=int, default=20)
    parser.add_argument("--rate", type=int, default=1000, help="calls a second, in all")
    options = parser.parse_args()
    with FakeDashboard() as dashboard:
        env = os.environ | {
            "SWITCHGEAR_URL": dashboard.url,
            "SWITCHGEAR_TOKEN": dashboard.token,
            "SWITCHGEAR_SERVICE": dashboard.service,
        }
        processes = {each: _start(options, each, env) for each in ("without", "with")}
        results = {each: json.loads(one.communicate()[0]) for each, one in processes.items()}
        counted = sum(dashboard.counts(f"breaker {n}")["success"] for n in range(options.breakers))
    told, bare = results["with"], results["without"]
    print(f"{told['calls']} calls in {told['seconds']:.0f} s, {counted} counted")
    print(f"the whole process: {told['percent']:.2f} % of a core, without {bare['percent']:.2f} %")
    print(f"resident: {told['kb']} kB, without {bare['kb']} kB")
    hours, kept = _OFFLINE_S // 3600, _offline(options.breakers)
    print(
        f"{hours} h without a dashboard: {kept // 1024} kB wait, of {_BUFFER_BYTES // 1024} at most"
    )
    assert counted == told["calls"], "a call was lost or counted twice"
    print(f"agent cpu_percent={told['agent']:.2f} memory_kb={told['kb'] - bare['kb']}")


def _start(options: argparse.Namespace, which: str, env: dict[str, str]) -> subprocess.Popen[str]:
    figures = (str(each) for each in (options.breakers, options.rate, options.seconds))
    command = [sys.executable, "-m", "benchmarks.load", *figures, which]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)


def _offline(breakers: int) -> int:
    """The bytes that wait after hours in which every breaker was called each second."""
    clock, registry = FakeClock(), Registry()
    made = [
        CircuitBreaker(name=f"breaker {n}", registry=registry, clock=clock) for n in range(breakers)
    ]
    collector = Collector(registry.all, clock.monotonic)
    outbox = Outbox(_BUFFER_BYTES)
    for _ in range(_OFFLINE_S):
        for each in made:
            each.call(int)
        clock.advance(1.0)
        outbox.add(collector.collect())
    return outbox.waiting_bytes


if __name__ == "__main__":
    main()
