"""Three instances with real breakers and agents, whose calls are simulated: each takes a time, and
times out where the policy in force says so. What a slow machine delays does not change outcomes."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from breakers import CircuitBreaker
from breakers.agent import Agent, start
from breakers.circuit.registry import Registry
from breakers.errors import CircuitBreakerOpen
from tests.e2e.dashboard_server import Site

SERVICE = "checkout"
BREAKER = "stock"
NAMES = ("one", "two", "three")
# The shortest timeout that instance three obeys.
FLOOR_S = 0.2
CALLS_A_SECOND = 100


class Fleet:
    """Instances that call `stock` until they are stopped."""

    def __init__(self, site: Site) -> None:
        self.failing = False
        token = site.dashboard.token(SERVICE)
        self.breakers: dict[str, CircuitBreaker] = {}
        self.agents: list[Agent] = []
        for name in NAMES:
            registry = Registry()
            self.breakers[name] = CircuitBreaker(
                name=BREAKER, registry=registry, timeout_duration=1.0
            )
            self.breakers[name].declare(timeout=1.0)
            self.agents.append(
                start(
                    url=site.url,
                    token=token,
                    service=SERVICE,
                    instance=name,
                    registry=registry,
                    interval_s=0.5,
                    obey={"timeout": (FLOOR_S, None)} if name == "three" else None,
                )
            )
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        rng = random.Random(1)
        while not self._stopped.wait(0.1):
            for breaker in self.breakers.values():
                for _ in range(CALLS_A_SECOND // 10):
                    self._call(breaker, rng.lognormvariate(-3.0, 0.4), rng.random() < 0.01)

    def _call(self, breaker: CircuitBreaker, seconds: float, fails: bool) -> None:
        try:
            ticket, began = breaker.enter()
        except CircuitBreakerOpen:
            return
        limit = breaker.policy.timeout
        late = limit is not None and seconds > limit
        outcome = "failure" if fails or self.failing else "timeout" if late else "success"
        breaker._record(ticket, began, min(seconds, limit or seconds), outcome)

    def timeouts(self) -> list[float | None]:
        """The timeout in force at each instance."""
        return [each.policy.timeout for each in self.breakers.values()]

    def states(self) -> set[str]:
        """The states that the breakers are in."""
        return {each.state for each in self.breakers.values()}

    def stop(self) -> None:
        """End the calls and the agents."""
        self._stopped.set()
        self._thread.join()
        for each in self.agents:
            each.stop(0.2)


@contextmanager
def running_fleet(site: Site) -> Iterator[Fleet]:
    """The fleet meanwhile."""
    fleet = Fleet(site)
    try:
        yield fleet
    finally:
        fleet.stop()
