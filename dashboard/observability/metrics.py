"""Prometheus metrics of the dashboard itself.

Frequent events are counted in plain integers (`counters`), which is cheap, and converted to metrics
when they are scraped. This module imports no other module of the dashboard; they count here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_PREFIX: Final = "switchgear_"


@dataclass(slots=True)
class Counters:
    """Counts since this process started, and the number of open connections."""

    reports: int = 0
    updates: int = 0
    acks: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    # Messages refused because a service had used up a budget: by service and budget.
    over_budget: Counter[tuple[str, str]] = field(default_factory=Counter)
    agents: int = 0
    browsers: int = 0
    event_streams: int = 0
    # Requests of the operators' API, and those that a limit refused.
    api_requests: int = 0
    api_limited: int = 0
    logins_failed: int = 0
    frames_delivered: int = 0
    applied: int = 0
    apply_s: float = 0.0
    frames_emitted: int = 0
    checkpoint_failures: int = 0


counters: Final = Counters()
registry: Final = CollectorRegistry()
checkpoint_s: Final = Histogram(
    _PREFIX + "checkpoint_seconds",
    "How long storing a checkpoint took",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    registry=registry,
)
_COUNTERS: Final = {
    "reports": "Reports accepted from agents",
    "updates": "Breaker updates in these reports",
    "acks": "Acknowledgements that agents sent",
    "frames_delivered": "Frames and snapshots sent to browsers",
    "applied": "Messages that the fleet worker applied",
    "apply_s": "Time spent applying messages",
    "frames_emitted": "Frames that the fleet worker emitted",
    "api_requests": "Requests of the operators' API",
    "api_limited": "Requests of the operators' API that a rate limit refused",
    "logins_failed": "Log-ins that failed",
    "checkpoint_failures": "Checkpoints that failed at the first attempt",
}
_GAUGES: Final = {
    "agents": "Agents connected by WebSocket",
    "browsers": "Browsers connected",
    "event_streams": "Event streams of the operators' API",
}
_NAMES: Final = {"apply_s": "apply_seconds", "updates": "breaker_updates"}
_gauges: dict[str, tuple[str, Callable[[], float]]] = {}


def add_gauge(name: str, help: str, look: Callable[[], float]) -> None:
    """Register a gauge that calls `look` at each scrape."""
    _gauges[name] = (help, look)


class CounterCollector(Collector):
    def collect(self) -> Iterator[Metric]:
        for name, help in _COUNTERS.items():
            shown = _PREFIX + _NAMES.get(name, name)
            yield CounterMetricFamily(shown, help, value=getattr(counters, name))
        for name, help in _GAUGES.items():
            yield GaugeMetricFamily(
                f"{_PREFIX}{name}_connected", help, value=getattr(counters, name)
            )
        refused = CounterMetricFamily(
            _PREFIX + "refused", "Messages and connections refused", labels=["code"]
        )
        for code, n in sorted(counters.refused.items()):
            refused.add_metric([code], n)
        yield refused
        over = CounterMetricFamily(
            _PREFIX + "over_budget",
            "Messages refused because the service had used up a budget",
            labels=["service", "budget"],
        )
        for (service, budget), n in sorted(counters.over_budget.items()):
            over.add_metric([service, budget], n)
        yield over
        for name, (help, look) in _gauges.items():
            yield GaugeMetricFamily(_PREFIX + name, help, value=look())


registry.register(CounterCollector())
for _standard in (ProcessCollector, PlatformCollector, GCCollector):
    _standard(registry=registry)
