"""What a report tells of a breaker."""

from __future__ import annotations

from contextlib import suppress

from breakers import CircuitBreaker, Registry
from breakers.agent.collector import Collector
from breakers.testing import FakeClock


def fail() -> None:
    raise ValueError


def test_a_trip_is_told_with_its_cause_its_figures_and_when_it_was() -> None:
    clock, registry = FakeClock(), Registry()
    posts = CircuitBreaker(2, name="posts", registry=registry, clock=clock)
    collector = Collector(registry.all, clock.monotonic)
    for _ in range(2):
        with suppress(ValueError):
            posts.call(fail)
    clock.advance(0.5)
    (report,) = collector.collect().breakers()
    (moved,) = report.transitions
    assert (moved.from_, moved.to, moved.cause) == ("closed", "open", "2 failures in a row")
    assert (moved.ago_s, moved.id) == (0.5, 1)
    assert moved.window.consecutive_failures == 2
    assert (report.state, report.since_s, report.counts.failure) == ("open", 0.5, 2)


def test_a_change_without_calls_is_told_too() -> None:
    clock, registry = FakeClock(), Registry()
    posts = CircuitBreaker(1, 5.0, name="posts", registry=registry, clock=clock, open_jitter=0.0)
    collector = Collector(registry.all, clock.monotonic)
    with suppress(ValueError):
        posts.call(fail)
    collector.collect()
    assert collector.collect().is_empty
    clock.advance(5.0)
    (report,) = collector.collect().breakers()
    assert report.state == "half_open"


def test_code_that_declares_more_is_told_again() -> None:
    registry = Registry()
    posts = CircuitBreaker(name="posts", registry=registry)
    collector = Collector(registry.all, FakeClock().monotonic)
    collector.collect()
    posts.declare(timeout=2.0)
    (report,) = collector.collect().breakers()
    assert report.policy is not None
    assert report.policy["timeout"] == 2.0


def test_breakers_that_are_gone_are_forgotten() -> None:
    registry = Registry()
    collector = Collector(registry.all, FakeClock().monotonic)
    for n in range(50):
        CircuitBreaker(name=f"b{n}", registry=registry)
        collector.collect()
        registry.remove(f"b{n}")
    assert len(collector._seen) <= 1
