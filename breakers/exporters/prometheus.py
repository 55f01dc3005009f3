"""Metrics for Prometheus: `REGISTRY.register(BreakerCollector())`. Needs the `prometheus` extra.

| metric | type | labels besides `breaker` |
|---|---|---|
| `circuit_breaker_state` | gauge, 1 for the state in force and 0 for the others | `state` |
| `circuit_breaker_calls_total` | counter; each call has one outcome | `outcome` |
| `circuit_breaker_slow_calls_total` | counter | |
| `circuit_breaker_events_total` | counter; retries, fallbacks, cache, bulkhead | `event` |
| `circuit_breaker_transitions_total` | counter | `to` |
| `circuit_breaker_call_duration_seconds` | histogram; a bucket a doubling, 122 µs to 64 s | |
| `circuit_breaker_calls_in_flight` | gauge | |
| `circuit_breaker_unexported` | gauge without labels; breakers above `max_breakers` | |

The names follow Prometheus' conventions (base units, `_total`). A breaker has 47 series. Under a
pre-forking server each process has its own breakers: scrape each process, or use the agent.
"""

from __future__ import annotations

from collections.abc import Iterable

from breakers.circuit.records import Snapshot
from breakers.circuit.registry import Registry
from breakers.circuit.registry import registry as default_registry
from breakers.exporters.metric_catalogue import (
    CALL_RESULTS,
    EVENTS,
    STATES,
    MetricCatalogue,
    cumulative,
)

try:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
    from prometheus_client.registry import Collector
except ImportError as error:
    raise ImportError(
        f"this exporter needs prometheus_client: pip install 'switchgear[prometheus]' ({error})",
        name=error.name,
    ) from error


class BreakerCollector(Collector):
    """Collects the breakers of a registry at each scrape.

    Args:
        registry: the registry to export; the process-wide one by default.
        max_breakers: the maximum number of breakers, the oldest first;
            `circuit_breaker_unexported` counts the others.

    Raises:
        PolicyError: `max_breakers` is below 1.

    >>> from prometheus_client import CollectorRegistry, generate_latest
    >>> from breakers import CircuitBreaker, Registry
    >>> mine, metrics = Registry(), CollectorRegistry()
    >>> metrics.register(BreakerCollector(mine))
    >>> CircuitBreaker(name="posts", registry=mine).call(len, "four")
    4
    >>> metrics.get_sample_value(
    ...     "circuit_breaker_calls_total", {"breaker": "posts", "outcome": "success"}
    ... )
    1
    """

    def __init__(self, registry: Registry = default_registry, max_breakers: int = 500) -> None:
        self._catalogue = MetricCatalogue(registry, max_breakers)

    def describe(self) -> Iterable[Metric]:
        """The metric families without samples. Registering a collector takes no snapshot."""
        return _Families().all()

    def collect(self) -> Iterable[Metric]:
        """The metric families with samples of each breaker."""
        families = _Families()
        shots, left_out = self._catalogue.snapshots()
        for shot in shots:
            families.add(shot)
        families.unexported.add_metric([], left_out)
        return families.all()


class _Families:
    """The metric families of one scrape."""

    def __init__(self) -> None:
        self.state = GaugeMetricFamily(
            "circuit_breaker_state", "1 for the state in force.", labels=["breaker", "state"]
        )
        self.calls = CounterMetricFamily(
            "circuit_breaker_calls", "Calls by outcome.", labels=["breaker", "outcome"]
        )
        self.slow = CounterMetricFamily(
            "circuit_breaker_slow_calls", "Slow calls.", labels=["breaker"]
        )
        self.events = CounterMetricFamily(
            "circuit_breaker_events",
            "Retries, fallbacks, cache and bulkhead events.",
            labels=["breaker", "event"],
        )
        self.transitions = CounterMetricFamily(
            "circuit_breaker_transitions", "Transitions by new state.", labels=["breaker", "to"]
        )
        self.latency = HistogramMetricFamily(
            "circuit_breaker_call_duration_seconds", "Latency of calls.", labels=["breaker"]
        )
        self.in_flight = GaugeMetricFamily(
            "circuit_breaker_calls_in_flight", "Calls in flight.", labels=["breaker"]
        )
        self.unexported = GaugeMetricFamily(
            "circuit_breaker_unexported", "Breakers above max_breakers."
        )

    def all(self) -> tuple[Metric, ...]:
        return (
            self.state,
            self.calls,
            self.slow,
            self.events,
            self.transitions,
            self.latency,
            self.in_flight,
            self.unexported,
        )

    def add(self, shot: Snapshot) -> None:
        name = shot.name
        for state in STATES:
            self.state.add_metric([name, state], float(shot.state is state))
            self.transitions.add_metric([name, state], shot.entered.get(state, 0))
        for outcome in CALL_RESULTS:
            self.calls.add_metric([name, outcome], shot.counts[outcome])
        for event in EVENTS:
            self.events.add_metric([name, event], shot.counts[event])
        self.slow.add_metric([name], shot.counts["slow"])
        self.in_flight.add_metric([name], shot.in_flight)
        bounds = [(repr(bound), n) for bound, n in cumulative(shot.buckets)]
        total = sum(shot.buckets.values())
        self.latency.add_metric([name], [*bounds, ("+Inf", total)], shot.sum_s)
