"""What Switchgear tells of itself, for Prometheus.

What happens thousands of times a second is counted in plain integers (`told`), which cost nothing
to speak of, and is turned into metrics only when somebody asks. Imports none of the rooms: they
count here.
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
class Told:
    """Counts of this process since it started, and how many are connected to it now."""

    reports: int = 0
    updates: int = 0
    acks: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    agents: int = 0
    browsers: int = 0
    frames_delivered: int = 0
    folded: int = 0
    fold_s: float = 0.0
    frames_emitted: int = 0
    checkpoint_failures: int = 0


told: Final = Told()
registry: Final = CollectorRegistry()
checkpoint_s: Final = Histogram(
    _PREFIX + "checkpoint_seconds",
    "How long storing a checkpoint took",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    registry=registry,
)
_COUNTERS: Final = {
    "reports": "Reports that agents sent and the gate took",
    "updates": "Breakers in these reports",
    "acks": "Acknowledgements that agents sent",
    "frames_delivered": "Frames and snapshots sent to browsers",
    "folded": "Messages that the fleet worker counted",
    "fold_s": "Seconds that took",
    "frames_emitted": "Frames that the fleet worker emitted",
    "checkpoint_failures": "Checkpoints that could not be stored at the first try",
}
_GAUGES: Final = {
    "agents": "Agents connected by WebSocket",
    "browsers": "Browsers connected",
}
_NAMES: Final = {"fold_s": "fold_seconds", "updates": "breaker_updates"}
_watched: dict[str, tuple[str, Callable[[], float]]] = {}


def watch(name: str, help: str, look: Callable[[], float]) -> None:
    """A gauge that is looked at whenever somebody asks."""
    _watched[name] = (help, look)


class _Told(Collector):
    def collect(self) -> Iterator[Metric]:
        for name, help in _COUNTERS.items():
            shown = _PREFIX + _NAMES.get(name, name)
            yield CounterMetricFamily(shown, help, value=getattr(told, name))
        for name, help in _GAUGES.items():
            yield GaugeMetricFamily(f"{_PREFIX}{name}_connected", help, value=getattr(told, name))
        refused = CounterMetricFamily(
            _PREFIX + "refused", "Messages and connections that the gate refused", labels=["code"]
        )
        for code, n in sorted(told.refused.items()):
            refused.add_metric([code], n)
        yield refused
        for name, (help, look) in _watched.items():
            yield GaugeMetricFamily(_PREFIX + name, help, value=look())


registry.register(_Told())
for _standard in (ProcessCollector, PlatformCollector, GCCollector):
    _standard(registry=registry)
