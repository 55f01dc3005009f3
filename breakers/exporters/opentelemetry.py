"""Breaker metrics for OpenTelemetry: `instrument(provider)`. Needs the `opentelemetry` extra.

| instrument | kind, unit | attributes besides `circuit_breaker.name` |
|---|---|---|
| `circuit_breaker.state` | gauge, 1 for the state in force, else 0 | `circuit_breaker.state` |
| `circuit_breaker.calls` | counter, `{call}` | `circuit_breaker.outcome` |
| `circuit_breaker.slow_calls` | counter, `{call}` | |
| `circuit_breaker.call.time` | counter, `s`: sum of the latencies of all calls | |
| `circuit_breaker.events` | counter, `{event}` | `circuit_breaker.event` |
| `circuit_breaker.transitions` | counter, `{transition}` | `circuit_breaker.state` |
| `circuit_breaker.active_calls` | up-down counter, `{call}` | |
| `circuit_breaker.unexported` | gauge, `{breaker}`: those above `max_breakers` | none |
| `circuit_breaker.call.duration` | exponential histogram, `s`: with `WithLatencies` alone | |

All instruments are observable: they are read at collection and cost calls nothing. OpenTelemetry
has no observable histogram. `WithLatencies` wraps an exporter and adds the breakers' histograms,
whose buckets are those of an exponential histogram at scale 3, so the conversion is exact.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from breakers.circuit.histogram import LOWEST, bucket_bounds
from breakers.circuit.records import Snapshot
from breakers.circuit.registry import Registry
from breakers.circuit.registry import registry as default_registry
from breakers.exporters.metric_catalogue import CALL_RESULTS, EVENTS, STATES, MetricCatalogue

try:
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter
    from opentelemetry.sdk.metrics.export import (
        AggregationTemporality,
        Buckets,
        ExponentialHistogram,
        ExponentialHistogramDataPoint,
        Metric,
        MetricExporter,
        MetricExportResult,
        MetricsData,
        ResourceMetrics,
        ScopeMetrics,
    )
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
except ImportError as error:
    raise ImportError(
        f"this exporter needs opentelemetry-sdk: pip install 'switchgear[opentelemetry]' ({error})",
        name=error.name,
    ) from error

SCOPE: Final = "breakers"
# 2 ** (2 ** -3): eight buckets a doubling, as in breakers.circuit.histogram.
_SCALE: Final = 3
_NAME: Final = "circuit_breaker.name"

Observer = Callable[[CallbackOptions], Iterable[Observation]]


def instrument(
    meter_provider: MeterProvider | None = None,
    registry: Registry = default_registry,
    max_breakers: int = 500,
) -> None:
    """Create the instruments.

    Args:
        meter_provider: the provider of the meter; the global one by default.
        registry: the registry to export; the process-wide one by default.
        max_breakers: the maximum number of breakers, the oldest first.

    Raises:
        PolicyError: `max_breakers` is below 1.

    >>> from opentelemetry.sdk.metrics import MeterProvider
    >>> from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    >>> from breakers import CircuitBreaker, Registry
    >>> mine, reader = Registry(), InMemoryMetricReader()
    >>> instrument(MeterProvider([reader]), mine)
    >>> CircuitBreaker(name="posts", registry=mine).call(len, "four")
    4
    >>> metrics = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    >>> [metric.name for metric in metrics][:2]
    ['circuit_breaker.state', 'circuit_breaker.calls']
    """
    catalogue = MetricCatalogue(registry, max_breakers)
    meter = get_meter(SCOPE, meter_provider=meter_provider)

    def observer(of: Callable[[Snapshot], Iterable[tuple[float, dict[str, str]]]]) -> Observer:
        def observe(options: CallbackOptions) -> Iterable[Observation]:
            for shot in catalogue.snapshots()[0]:
                for value, attributes in of(shot):
                    yield Observation(value, {_NAME: shot.name, **attributes})

        return observe

    def unexported(options: CallbackOptions) -> Iterable[Observation]:
        yield Observation(catalogue.snapshots()[1])

    def counter(name: str, of: Any, unit: str, description: str) -> None:
        meter.create_observable_counter(name, [observer(of)], unit, description)

    meter.create_observable_gauge(
        "circuit_breaker.state", [observer(_states)], "1", "1 for the state in force."
    )
    counter("circuit_breaker.calls", _ends, "{call}", "Calls by outcome.")
    counter("circuit_breaker.slow_calls", _slow, "{call}", "Slow calls.")
    counter("circuit_breaker.call.time", _time, "s", "Sum of the latencies of all calls.")
    counter(
        "circuit_breaker.events",
        _events,
        "{event}",
        "Retries, fallbacks, cache and bulkhead events.",
    )
    counter(
        "circuit_breaker.transitions", _transitions, "{transition}", "Transitions by new state."
    )
    meter.create_observable_up_down_counter(
        "circuit_breaker.active_calls", [observer(_in_flight)], "{call}", "Calls in flight."
    )
    meter.create_observable_gauge(
        "circuit_breaker.unexported", [unexported], "{breaker}", "Breakers above max_breakers."
    )


Values = Iterable[tuple[float, dict[str, str]]]


def _states(shot: Snapshot) -> Values:
    return [(int(shot.state is state), {"circuit_breaker.state": state}) for state in STATES]


def _ends(shot: Snapshot) -> Values:
    return [(shot.counts[name], {"circuit_breaker.outcome": name}) for name in CALL_RESULTS]


def _slow(shot: Snapshot) -> Values:
    return [(shot.counts["slow"], {})]


def _time(shot: Snapshot) -> Values:
    return [(shot.sum_s, {})]


def _events(shot: Snapshot) -> Values:
    return [(shot.counts[name], {"circuit_breaker.event": name}) for name in EVENTS]


def _transitions(shot: Snapshot) -> Values:
    return [(shot.entered.get(state, 0), {"circuit_breaker.state": state}) for state in STATES]


def _in_flight(shot: Snapshot) -> Values:
    return [(shot.in_flight, {})]


class WithLatencies(MetricExporter):
    """An exporter that adds `circuit_breaker.call.duration` and passes data to another exporter.

    The temporality is cumulative since this exporter was created, whatever the other prefers.

    Args:
        exporter: the exporter that sends.
        registry, max_breakers: as in `instrument`.

    Raises:
        PolicyError: `max_breakers` is below 1.
    """

    def __init__(
        self,
        exporter: MetricExporter,
        registry: Registry = default_registry,
        max_breakers: int = 500,
    ) -> None:
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)
        self._exporter = exporter
        self._catalogue = MetricCatalogue(registry, max_breakers)
        self._since = time.time_ns()

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Send the collected metrics and the latencies of each breaker that has any."""
        latencies = self._latencies()
        given = metrics_data.resource_metrics
        if latencies is not None and given:
            first = given[0]
            scope = ScopeMetrics(InstrumentationScope(SCOPE), [latencies], "")
            extended = ResourceMetrics(
                first.resource, [*first.scope_metrics, scope], first.schema_url
            )
            metrics_data = MetricsData([extended, *given[1:]])
        return self._exporter.export(metrics_data, timeout_millis, **kwargs)

    def _latencies(self) -> Metric | None:
        now = time.time_ns()
        points = [self._point(shot, now) for shot in self._catalogue.snapshots()[0] if shot.buckets]
        if not points:
            return None
        return Metric(
            "circuit_breaker.call.duration",
            "Latency of calls.",
            "s",
            ExponentialHistogram(points, AggregationTemporality.CUMULATIVE),
        )

    def _point(self, shot: Snapshot, now: int) -> ExponentialHistogramDataPoint:
        buckets = dict(shot.buckets)
        # The lowest bucket holds all latencies below a microsecond.
        zeros = buckets.pop(LOWEST, 0)
        lowest, highest = (min(buckets), max(buckets)) if buckets else (0, -1)
        return ExponentialHistogramDataPoint(
            {_NAME: shot.name},
            self._since,
            now,
            count=sum(shot.buckets.values()),
            sum=shot.sum_s,
            scale=_SCALE,
            zero_count=zeros,
            positive=Buckets(lowest, [buckets.get(i, 0) for i in range(lowest, highest + 1)]),
            negative=Buckets(0, []),
            flags=0,
            min=0.0 if zeros else bucket_bounds(lowest)[0],
            max=bucket_bounds(highest)[1] if buckets else bucket_bounds(LOWEST)[1],
        )

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Call the other exporter's method."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Call the other exporter's method."""
        self._exporter.shutdown(timeout_millis, **kwargs)
