"""Lets the pages see a fleet without one running."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from breakers.protocol import messages as wire
from dashboard.bus.memory import MemoryBus
from dashboard.fleet.checkpoint_batch import Batch
from dashboard.fleet.snapshot import process
from dashboard.fleet.snapshot.store import FleetSnapshot
from dashboard.fleet.state import FleetState

HOSTILE = "</script><img src=x onerror=alert(1)>"


@contextmanager
def showing() -> Iterator[Callable[..., None]]:
    """`show(service, *breakers, instance="one", **info)` reports them; what was shown before stays.
    `info` are fields of `wire.Instance`, and `revision`."""
    state, numbers = FleetState(), count(1)

    def show(
        service: str,
        *breakers: wire.BreakerReport,
        instance: str = "one",
        revision: int = 0,
        **info: Any,
    ) -> None:
        report = wire.Report(
            service=service,
            instance=wire.Instance(id=instance, **info),
            boot=instance,
            seq=next(numbers),
            interval_s=1.0,
            breakers=list(breakers),
            revision=revision,
        )
        state.fold(report, 1000.0, Batch())
        fleet_snapshot = FleetSnapshot(MemoryBus(), is_running=True)
        for frame in state.full_frames(1001.5):
            fleet_snapshot.merge(frame)
        process.replace(fleet_snapshot)

    yield show
    process.replace(FleetSnapshot(MemoryBus(), is_running=True))
