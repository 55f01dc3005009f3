"""A fleet that a test sets, and the runners over it."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.alerts import frame
from dashboard.alerts.models import Channel, Route
from dashboard.alerts.runner import Runner
from dashboard.bus.memory import MemoryBus
from dashboard.fleet.snapshot.store import FleetSnapshot

NOW = 1_800_000_000.0


class Fleet:
    """A snapshot and the runners over it, at a time that the test sets."""

    def __init__(self) -> None:
        self.now = NOW
        self.steady = 0.0
        self.seq = 0
        self.snapshot = FleetSnapshot(MemoryBus(), is_running=True)
        self.channel = Channel.objects.create(name="ops", kind="webhook", url="http://127.0.0.1:1/")
        Route.objects.create(name="all", channel=self.channel, min_severity="info")

    def runner(self) -> Runner:
        return Runner(self.snapshot, lambda: self.now, own_thread=False, steady=lambda: self.steady)

    def show(self, service: str, state: str, *breakers: str, version: str = "v1") -> None:
        self.seq += 1
        shown: Any = frame(service, breakers, state, self.now, self.seq, version)
        self.snapshot.merge(shown)

    def step(self, seconds: float) -> None:
        """The wall clock steps; no time passes."""
        self.now += seconds

    def round(self, runner: Runner, after_s: float = 1.0) -> None:
        self.now += after_s
        self.steady += after_s
        self.snapshot.at = self.now
        asyncio.run(runner.round())

    def rounds(self, runner: Runner, count: int) -> None:
        for _ in range(count):
            self.round(runner)
