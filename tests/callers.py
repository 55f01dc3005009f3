"""A service under load: a process of many instances, each with an agent and two breakers.

    python -m tests.callers <url> <token> <service> <prefix> <instances> <seconds its clock is off>

`posts` is called all the time and must succeed; `held` is forced open by an operator and must
refuse. The process reads commands on standard input, one a line, and answers each with
a line of JSON.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any

_PAUSE_S = 0.1

if __name__ == "__main__":
    _real, _off = time.time, float(sys.argv[6])
    # Before any of our modules reads the clock.
    time.time = lambda: _real() + _off

from breakers import CircuitBreaker, CircuitForcedOpen, Registry  # noqa: E402
from breakers.agent import Agent, start  # noqa: E402
from breakers.circuit.histogram import Histogram  # noqa: E402


@dataclass
class Instance:
    """One of the service's instances."""

    agent: Agent
    posts: CircuitBreaker
    held: CircuitBreaker


@dataclass
class CallTotals:
    """Totals of the calls. `errors` are calls that failed unexpectedly, `violated` those that
    passed although the breaker was forced open."""

    calls: int = 0
    errors: int = 0
    violated: int = 0
    longest_s: float = 0.0
    p99_s: float = 0.0
    success: int = 0
    rejected: int = 0
    unsafe: int = 0
    states: dict[str, list[str]] = field(default_factory=dict)


class Callers:
    """Calls through every instance's breakers in a loop."""

    def __init__(self, url: str, token: str, service: str, prefix: str, instances: int) -> None:
        self.totals = CallTotals()
        self._latencies = Histogram()
        self._is_armed = False
        self._going = threading.Event()
        self._round = threading.Lock()
        self._instances = [
            self._make(url, token, service, f"{prefix}{n}") for n in range(instances)
        ]
        threading.Thread(target=self._call_on, daemon=True).start()

    def _make(self, url: str, token: str, service: str, name: str) -> Instance:
        registry = Registry()
        posts = CircuitBreaker(name="posts", registry=registry)
        held = CircuitBreaker(name="held", registry=registry)
        agent = start(
            url=url,
            token=token,
            service=service,
            instance=name,
            registry=registry,
            # Short enough for a test to notice a cut connection.
            timeout_s=2.0,
            ping_s=2.0,
            reconnect_max_s=1.0,
        )
        return Instance(agent, posts, held)

    def _call_on(self) -> None:
        while True:
            self._going.wait()
            with self._round:
                if self._going.is_set():
                    for each in self._instances:
                        self._call(each)
            time.sleep(_PAUSE_S)

    def _call(self, instance: Instance) -> None:
        totals = self.totals
        began = time.perf_counter()
        try:
            instance.posts.call(int)
        except Exception:
            totals.errors += 1
        took = time.perf_counter() - began
        self._latencies.record(took)
        totals.longest_s = max(totals.longest_s, took)
        try:
            instance.held.call(int)
            totals.violated += self._is_armed
        except CircuitForcedOpen:
            pass
        totals.calls += 2

    # -- Commands --------------------------------------------------------------------------------

    def go(self) -> None:
        """Call, until `pause`."""
        self._going.set()

    def pause(self) -> None:
        """Make no more calls; returns when the last one has ended."""
        self._going.clear()
        with self._round:
            return

    def arm(self) -> None:
        """From now on the override must be in force."""
        self._is_armed = True

    def stop(self) -> None:
        """Stop all agents."""
        for each in self._instances:
            each.agent.stop(0.1)

    def tell(self) -> dict[str, Any]:
        """The totals at this moment."""
        shots = {
            name: [getattr(each, name).snapshot() for each in self._instances]
            for name in ("posts", "held")
        }
        totals = self.totals
        totals.states = {name: sorted({s.state for s in each}) for name, each in shots.items()}
        for outcome in ("success", "rejected"):
            total = sum(s.counts[outcome] for each in shots.values() for s in each)
            setattr(totals, outcome, total)
        totals.unsafe = sum(each.agent.status().buffered_reports for each in self._instances)
        totals.p99_s = self._latencies.quantile(0.99) or 0.0
        return asdict(totals)


def main() -> None:
    url, token, service, prefix, instances = sys.argv[1:6]
    callers = Callers(url, token, service, prefix, int(instances))
    for line in sys.stdin:
        command = line.strip()
        if command != "tell":
            getattr(callers, command)()
        print(json.dumps(callers.tell()), flush=True)


if __name__ == "__main__":
    main()
