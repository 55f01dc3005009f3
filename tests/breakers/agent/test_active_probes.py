"""A half-open breaker that nobody calls is tested by its probe, and closes or opens."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from breakers import CircuitBreaker, Registry, State
from breakers.agent.active_probes import IDLE_S, ActiveProbes
from breakers.testing import FakeClock, FakeDashboard
from tests.examples.running import eventually


class Service:
    """A process with one half-open breaker, and a dependency that answers or does not."""

    def __init__(self, probe: Callable[[], object] | None = None) -> None:
        self.clock, self.calls, self.is_well = FakeClock(), 0, True
        self.breaker = CircuitBreaker(
            name="posts", success_threshold=2, timeout_duration=60.0, open_jitter=0.0,
            clock=self.clock, registry=None, probe=probe or self.ping,
        )  # fmt: skip
        self.breaker.set_override("forced_open")
        self.breaker.set_override(None)
        self.probes = ActiveProbes(lambda: [self.breaker])

    def ping(self) -> None:
        self.calls += 1
        if not self.is_well:
            raise ConnectionError("down")

    def look(self) -> None:
        self.probes.look()
        for each in self.probes._running.values():
            each.join(20)
            assert not each.is_alive()


def test_it_closes_after_as_many_successes_as_its_policy_asks_for() -> None:
    service = Service()
    service.clock.advance(IDLE_S)
    service.look()
    assert (service.breaker.state, service.calls) == (State.CLOSED, 2)
    service.clock.advance(1000.0)
    service.look()
    assert service.calls == 2, "a closed breaker is left alone"


def test_calls_of_the_service_have_the_first_chance() -> None:
    service = Service()
    service.clock.advance(IDLE_S - 1)
    service.look()
    assert service.calls == 0
    service.clock.advance(1)
    with service.breaker:
        service.look()
        assert service.calls == 0, "somebody is calling"
    service.look()
    assert service.breaker.state is State.CLOSED


def test_a_failure_opens_it_and_the_next_half_open_time_is_tested_again() -> None:
    service = Service()
    service.is_well = False
    service.clock.advance(IDLE_S)
    service.look()
    assert (service.breaker.state, service.calls) == (State.OPEN, 1)
    service.look()
    assert service.calls == 1, "an open breaker waits for its time"
    service.is_well = True
    for _ in range(60):
        service.clock.advance(10.0)
        service.look()
    assert service.breaker.state is State.CLOSED


def test_a_coroutine_function_is_awaited() -> None:
    seen: list[str] = []

    async def ping() -> None:
        seen.append(threading.current_thread().name)

    service = Service(ping)
    service.clock.advance(IDLE_S)
    service.look()
    assert service.breaker.state is State.CLOSED
    assert seen == ["breakers-probe"] * 2


def test_a_probe_that_hangs_delays_nobody_and_runs_once() -> None:
    go_on = threading.Event()
    service = Service(lambda: go_on.wait(20))
    service.clock.advance(IDLE_S)
    for _ in range(3):
        service.probes.look()
    assert len(service.probes._running) == 1
    go_on.set()
    eventually(lambda: service.breaker.state is State.CLOSED, 20)


@pytest.mark.parametrize("state", ["closed", "open"])
def test_a_breaker_without_a_probe_is_left_alone(state: str) -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(name="posts", clock=clock, registry=None)
    breaker.set_override("forced_open")
    breaker.set_override(None)
    clock.advance(1000.0)
    ActiveProbes(lambda: [breaker]).look()
    assert breaker.state is State.HALF_OPEN


def test_the_running_agent_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("breakers.agent.session.ActiveProbes", lambda all: ActiveProbes(all, 0.1))
    registry = Registry()
    with FakeDashboard() as dashboard:
        agent = dashboard.start_agent(registry=registry)
        posts = CircuitBreaker(name="posts", registry=registry, probe=lambda: "well")
        dashboard.force("posts", "forced_open")
        dashboard.wait_for(lambda: dashboard.states("posts") == {"forced_open"}, 20.0)
        dashboard.lift("posts")
        dashboard.wait_for(lambda: dashboard.states("posts") == {"closed"}, 20.0)
        assert posts.state is State.CLOSED
        agent.stop()
