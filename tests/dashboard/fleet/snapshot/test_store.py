"""A service of which nobody is left leaves the wall; it stays in history."""

from __future__ import annotations

import asyncio

import msgspec

from breakers.protocol import messages as wire
from dashboard.bus.memory import MemoryBus
from dashboard.fleet.checkpoint_batch import Batch
from dashboard.fleet.frame_types import BreakerAtInstance
from dashboard.fleet.snapshot.store import FleetSnapshot
from dashboard.fleet.state import FORGET_AFTER_S, FleetState
from dashboard.fleet.worker import FRAMES

NOW = 1000.0


def report(service: str, seq: int = 1) -> wire.Report:
    return wire.Report(
        service=service,
        instance=wire.Instance("one"),
        boot="b",
        seq=seq,
        interval_s=1.0,
        breakers=[wire.BreakerReport(name="posts", state="closed")],
    )


async def test_a_service_without_instances_is_not_shown_and_nobody_hears_of_it_again() -> None:
    fleet, bus = FleetState(), MemoryBus()
    fleet_snapshot = FleetSnapshot(bus)
    counters: list[str] = []
    for summary in (False, True):
        fleet_snapshot.listen(lambda service, text: counters.append(service), summary)
    fleet_snapshot.start()
    await asyncio.sleep(0)

    async def emit(at: float) -> list[str]:
        counters.clear()
        for frame in fleet.full_frames(at):
            bus.publish(FRAMES, msgspec.json.encode(frame))
        await asyncio.sleep(0.01)
        return sorted(counters)

    fleet.fold(report("gone"), NOW, Batch())
    fleet.fold(report("here"), NOW, Batch())
    assert await emit(NOW) == ["gone", "gone", "here", "here"]
    assert fleet_snapshot.services.keys() == {"gone", "here"}

    later = NOW + FORGET_AFTER_S + 1
    fleet.fold(report("here", seq=2), later, Batch())
    fleet.advance(later)
    assert await emit(later) == ["gone", "gone", "here", "here"], "a last time, to say so"
    assert fleet_snapshot.services.keys() == {"here"}
    assert [each["name"] for each in fleet_snapshot.snapshot()["services"]] == ["here"]
    assert await emit(later) == ["here", "here"]

    fleet.fold(report("gone", seq=2), later, Batch())
    assert await emit(later) == ["gone", "gone", "here", "here"]
    assert fleet_snapshot.services.keys() == {"gone", "here"}
    await fleet_snapshot.stop()


def test_what_a_full_frame_repeats_stays_the_same_object() -> None:
    """Alert rules look again only at what is another object; and two copies of a large service
    would not fit into the memory that it is counted with."""
    fleet, snapshot = FleetState(), FleetSnapshot(MemoryBus())
    fleet.fold(report("shop"), NOW, Batch())

    def merged() -> list[BreakerAtInstance]:
        for frame in fleet.full_frames(NOW):
            snapshot.merge(msgspec.json.decode(msgspec.json.encode(frame)))
        view = snapshot.breaker("shop", "posts")
        assert view is not None
        return view["instances"]

    first = merged()
    assert merged() is first
    changed = report("shop", seq=2)
    changed.breakers[0].state = "open"
    fleet.fold(changed, NOW, Batch())
    second = merged()
    assert second is not first
    assert [each["state"] for each in second] == ["open"]
