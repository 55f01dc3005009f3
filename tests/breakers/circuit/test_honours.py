"""Which fields of a policy the calls through a breaker obey."""

from __future__ import annotations

from breakers import CallOptions, CircuitBreaker
from breakers.agent.collector import Collector
from breakers.circuit.honoured_fields import CALL_FIELDS
from breakers.circuit.policy import FIELDS


def test_a_breaker_alone_obeys_the_fields_of_the_circuit() -> None:
    honours = CircuitBreaker(registry=None).honours
    assert honours is not None
    assert "failure_threshold" in honours
    assert set(honours) == set(FIELDS) - CALL_FIELDS


def test_with_call_options_it_obeys_all() -> None:
    breaker = CircuitBreaker(registry=None)
    CallOptions(timeout=1.0, circuit_breaker=breaker)
    assert breaker.honours is None


def test_it_is_told_with_the_declared_policy_and_again_when_options_come_later() -> None:
    breaker = CircuitBreaker(name="posts", registry=None)
    collector = Collector(lambda: [breaker], lambda: 0.0)
    (first,) = collector.collect().breakers()
    assert first.honours is not None
    assert "timeout" not in first.honours
    CallOptions(timeout=1.0, circuit_breaker=breaker)
    (second,) = collector.collect().breakers()
    assert second.policy is not None
    assert second.policy["timeout"] == 1.0
    assert second.honours is None
