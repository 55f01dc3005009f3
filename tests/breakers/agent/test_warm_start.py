"""A new process takes over breakers that are open at the others."""

from __future__ import annotations

from breakers import CircuitBreaker
from breakers.agent.applier import Applier
from breakers.agent.obedience import Obedience, read_obey
from breakers.circuit.registry import Registry
from breakers.protocol import messages as wire
from breakers.testing import FakeClock

WARM = wire.Desired(
    revision=1, warm_starts=[wire.WarmStart("posts", 30.0, "3 of the other 3 instances are open")]
)


class Process:
    def __init__(self, obedience: Obedience | None = None) -> None:
        self.clock = FakeClock()
        self.registry = Registry()
        self.applier = Applier(
            self.registry.all, wire.Instance("new"), self.clock.monotonic, obedience
        )

    def breaker(self, name: str = "posts") -> CircuitBreaker:
        made = CircuitBreaker(
            name=name, registry=self.registry, clock=self.clock, timeout_duration=60.0
        )
        self.applier.created(made)
        return made


def test_it_starts_open_without_a_failure_and_tests_by_itself() -> None:
    process = Process()
    posts, ads = process.breaker(), process.breaker("ads")
    process.applier.take(WARM)
    assert (posts.state, ads.state) == ("open", "closed")
    assert posts.snapshot().cause == "warm start: 3 of the other 3 instances are open"
    process.clock.advance(30.0)
    assert posts.state == "half_open"


def test_a_breaker_that_is_made_later_starts_open_for_what_is_left() -> None:
    process = Process()
    process.applier.take(WARM)
    process.clock.advance(20.0)
    posts = process.breaker()
    assert posts.state == "open"
    process.clock.advance(10.0)
    assert posts.state == "half_open"


def test_it_is_over_when_the_time_is() -> None:
    process = Process()
    process.applier.take(WARM)
    process.clock.advance(30.0)
    assert process.breaker().state == "closed"


def test_it_happens_once_and_nothing_is_lifted() -> None:
    process = Process()
    posts = process.breaker()
    process.applier.take(WARM)
    process.applier.take(wire.Desired(revision=2))
    assert posts.state == "open"
    posts.reset()
    process.applier.take(wire.Desired(revision=3))
    assert posts.state == "closed"


def test_an_operator_and_the_code_know_better() -> None:
    process = Process()
    posts = process.breaker()
    posts.set_override("forced_closed")
    process.applier.take(WARM)
    assert posts.automatic_state == "closed"
    for obey in ("report-only", {"overrides": ["metrics_only"]}):
        cautious = Process(read_obey(obey))
        posts = cautious.breaker()
        cautious.applier.take(WARM)
        assert posts.state == "closed"


def test_it_is_not_kept_for_a_child_or_on_disk() -> None:
    process = Process()
    process.applier.take(WARM)
    left = process.applier.remaining()
    assert left is not None
    assert left.warm_starts == []
