"""Breakers as OpenTelemetry sees them: collected by the real SDK."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ConsoleMetricExporter,
    ExponentialHistogram,
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)

from breakers import CircuitBreaker, PolicyError, Registry
from breakers.circuit.histogram import bucket_index
from breakers.exporters.opentelemetry import WithLatencies, instrument
from breakers.testing import FakeClock


class Boom(Exception):
    pass


def fail() -> None:
    raise Boom


class Observed:
    """A process's breakers on a clock turned by hand, and what a reader collects of them."""

    def __init__(self, max_breakers: int = 500) -> None:
        self.clock = FakeClock()
        self.registry = Registry()
        self.reader = InMemoryMetricReader()
        instrument(MeterProvider([self.reader]), self.registry, max_breakers)

    def breaker(self, name: str = "posts", **fields: object) -> CircuitBreaker:
        return CircuitBreaker(
            name=name, registry=self.registry, clock=self.clock, open_jitter=0.0, **fields
        )

    def metrics(self) -> dict[str, Any]:
        data = self.reader.get_metrics_data()
        assert data is not None
        (scope,) = data.resource_metrics[0].scope_metrics
        assert scope.scope.name == "breakers"
        return {metric.name.removeprefix("circuit_breaker."): metric for metric in scope.metrics}

    def values(self, name: str) -> dict[str, float]:
        """Of the one breaker, by its second attribute."""
        values = {}
        for point in self.metrics()[name].data.data_points:
            second = [v for k, v in point.attributes.items() if k != "circuit_breaker.name"]
            values["".join(second)] = point.value
        return values


@pytest.fixture
def observed() -> Observed:
    return Observed()


def test_states(observed: Observed) -> None:
    breaker = observed.breaker(failure_threshold=1, timeout_duration=30)
    assert observed.values("state")["closed"] == 1
    with pytest.raises(Boom):
        breaker.call(fail)
    states = observed.values("state")
    assert (states["open"], sum(states.values()), len(states)) == (1, 1, 7)


def test_calls_events_transitions_and_time(observed: Observed) -> None:
    breaker = observed.breaker(failure_threshold=2, slow_call_duration=1.0)
    breaker.call(observed.clock.advance, 2.0)
    for _ in range(2):
        with pytest.raises(Boom):
            breaker.call(fail)
    breaker.count("fallback", 4)
    assert observed.values("calls") == {
        "success": 1, "failure": 2, "timeout": 0, "ignored": 0, "rejected": 0
    }  # fmt: skip
    assert observed.values("events")["fallback"] == 4
    assert observed.values("transitions")["open"] == 1
    assert observed.values("slow_calls") == {"": 1}
    assert observed.values("call.time") == {"": 2.0}
    assert observed.values("active_calls") == {"": 0}
    assert observed.values("unexported") == {"": 0}


def test_counters_are_monotonic_and_units_are_named(observed: Observed) -> None:
    observed.breaker().call(int)
    metrics = observed.metrics()
    for name in ("calls", "events", "transitions", "slow_calls", "call.time"):
        assert metrics[name].data.is_monotonic
    assert not metrics["active_calls"].data.is_monotonic
    assert (metrics["calls"].unit, metrics["call.time"].unit) == ("{call}", "s")
    assert all(metric.description for metric in metrics.values())


def test_a_collection_takes_nothing_from_the_agent(observed: Observed) -> None:
    breaker = observed.breaker()
    breaker.call(int)
    observed.metrics()
    assert breaker.drain().counts == {"success": 1}
    breaker.call(int)
    assert observed.values("calls")["success"] == 2


def test_so_many_breakers_and_no_more() -> None:
    observed = Observed(max_breakers=2)
    for n in range(5):
        observed.breaker(f"breaker {n}")
    names = {
        point.attributes["circuit_breaker.name"]
        for point in observed.metrics()["calls"].data.data_points
    }
    assert names == {"breaker 0", "breaker 1"}
    assert observed.values("unexported") == {"": 3}


class Sent(MetricExporter):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.data: list[MetricsData] = []
        self.ended: list[str] = []

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        self.data.append(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        self.ended.append("flushed")
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        self.ended.append("shut down")


class TestLatencies:
    def provider(self, mine: Registry, exporter: MetricExporter) -> MeterProvider:
        reader = PeriodicExportingMetricReader(
            WithLatencies(exporter, mine), export_interval_millis=3_600_000
        )
        provider = MeterProvider([reader], shutdown_on_exit=False)
        instrument(provider, mine)
        return provider

    def test_they_are_the_breakers_own_buckets(self) -> None:
        mine, clock, sent = Registry(), FakeClock(), Sent()
        breaker = CircuitBreaker(None, name="posts", registry=mine, clock=clock)
        provider = self.provider(mine, sent)
        for seconds in (0.0, 0.010, 0.010, 1.5):
            breaker.call(clock.advance, seconds)
        provider.force_flush()
        found = [
            metric
            for scope in sent.data[-1].resource_metrics[0].scope_metrics
            for metric in scope.metrics
            if metric.name == "circuit_breaker.call.duration"
        ]
        (metric,) = found
        assert isinstance(metric.data, ExponentialHistogram)
        assert metric.data.aggregation_temporality is AggregationTemporality.CUMULATIVE
        (point,) = metric.data.data_points
        assert point.attributes == {"circuit_breaker.name": "posts"}
        assert (point.count, point.zero_count, point.scale) == (4, 1, 3)
        assert point.sum == pytest.approx(1.52)
        counts = {
            point.positive.offset + at: n for at, n in enumerate(point.positive.bucket_counts) if n
        }
        assert counts == {bucket_index(0.010): 2, bucket_index(1.5): 1}
        assert point.min == 0.0
        assert 1.5 <= point.max < 1.64
        assert metric.unit == "s"
        provider.shutdown()
        assert sent.ended[-1] == "shut down"

    def test_calls_that_take_no_time_at_all(self) -> None:
        mine, clock, sent = Registry(), FakeClock(), Sent()
        CircuitBreaker(name="posts", registry=mine, clock=clock).call(int)
        provider = self.provider(mine, sent)
        provider.force_flush()
        (point,) = sent.data[-1].resource_metrics[0].scope_metrics[-1].metrics[0].data.data_points
        assert (point.count, point.zero_count, list(point.positive.bucket_counts)) == (1, 1, [])  # type: ignore[union-attr]
        provider.shutdown()

    def test_where_there_was_no_call_there_is_no_histogram(self) -> None:
        mine, sent = Registry(), Sent()
        CircuitBreaker(name="posts", registry=mine)
        provider = self.provider(mine, sent)
        provider.force_flush()
        names = [
            metric.name
            for scope in sent.data[-1].resource_metrics[0].scope_metrics
            for metric in scope.metrics
        ]
        assert "circuit_breaker.calls" in names
        assert "circuit_breaker.call.duration" not in names
        provider.shutdown()

    def test_an_exporter_that_writes_json_takes_it(self) -> None:
        mine, out = Registry(), StringIO()
        CircuitBreaker(name="posts", registry=mine).call(int)
        provider = self.provider(mine, ConsoleMetricExporter(out=out))
        provider.force_flush()
        provider.shutdown()
        told, _ = json.JSONDecoder().raw_decode(out.getvalue())
        assert "circuit_breaker.call.duration" in json.dumps(told)


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5])
def test_misuse_is_refused(wrong: int) -> None:
    with pytest.raises(PolicyError, match="max_breakers"):
        instrument(MeterProvider(), Registry(), wrong)


def test_without_the_package_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['opentelemetry.metrics'] = None\n"
        "try:\n    import breakers.exporters.opentelemetry\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "switchgear[opentelemetry]" in done.stdout
