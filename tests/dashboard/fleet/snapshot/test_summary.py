"""The wall's frames: lean, and the same fleet once they are laid over one another."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from breakers.protocol import messages as wire
from dashboard.bus.memory import MemoryBus
from dashboard.fleet.checkpoint_batch import Batch
from dashboard.fleet.snapshot.store import FleetSnapshot
from dashboard.fleet.state import FleetState
from dashboard.fleet.view_builders import TAIL
from dashboard.fleet.worker import FRAMES, WANTED


class Fleet:
    """One instance with a breaker, and the frames of it."""

    def __init__(self) -> None:
        self.state = FleetState()
        self.seq = 0

    def report(self, at: float, successes: int, state: Any = "closed") -> None:
        self.seq += 1
        breaker = wire.BreakerReport(
            name="posts", state=state, counts=wire.Counts(success=successes)
        )
        self.state.fold(
            wire.Report(
                service="shop",
                instance=wire.Instance(id="one", zone="eu"),
                boot="b",
                seq=self.seq,
                interval_s=1.0,
                breakers=[breaker],
            ),
            at,
            Batch(),
        )

    def frame(self, at: float, full: bool = False) -> bytes:
        self.state.advance(at)
        (frame,) = self.state.full_frames(at) if full else self.state.frames(at)
        return msgspec.json.encode(frame)


async def heard(*payloads: bytes) -> list[dict[str, Any]]:
    """What a lean listener hears of frames that were published."""
    bus = MemoryBus()
    fleet_snapshot = FleetSnapshot(bus, wall=lambda: 1010.0)
    summary: list[dict[str, Any]] = []
    fleet_snapshot.listen(
        lambda service, payload: summary.append(msgspec.json.decode(payload)), summary=True
    )
    wanted = bus.subscribe(WANTED)
    fleet_snapshot.start()
    try:
        await anext(aiter(wanted))  # it asks as soon as it follows
        for payload in payloads:
            bus.publish(FRAMES, payload)
        while len(summary) < len(payloads):
            await asyncio.sleep(0)
    finally:
        await fleet_snapshot.stop()
    return summary


async def test_a_breaker_comes_whole_first_and_then_by_its_last_seconds() -> None:
    fleet = Fleet()
    fleet.report(1000.2, 40)
    first = fleet.frame(1001.0)
    fleet.report(1001.2, 44)
    later = fleet.frame(1002.0)
    whole, tail = [frame["breakers"][0] for frame in await heard(first, later)]
    assert len(whole["spark"]) == 60
    assert "spark" not in tail
    assert tail["tail"][-2:] == [40, 44]
    assert len(tail["tail"]) == TAIL


async def test_what_each_instance_says_stays_at_home() -> None:
    fleet = Fleet()
    fleet.report(1000.2, 1, "open")
    (frame,) = await heard(fleet.frame(1001.0))
    (breaker,) = frame["breakers"]
    assert "instances" not in breaker
    assert breaker["states"] == {"open": 1}


async def test_an_instance_is_told_again_only_when_something_is_new() -> None:
    fleet = Fleet()
    fleet.report(1000.2, 1)
    first = fleet.frame(1001.0)
    fleet.report(1001.2, 1)
    same = fleet.frame(1002.0)
    stale = fleet.frame(1009.0)
    counters = [frame["instances"] for frame in await heard(first, same, stale)]
    assert counters[0] == [{"id": "one", "zone": "eu", "version": "", "stale": False}]
    assert counters[1] == []
    assert counters[2][0]["stale"] is True


async def test_a_full_frame_is_whole() -> None:
    fleet = Fleet()
    fleet.report(1000.2, 1)
    first, again = await heard(fleet.frame(1001.0), fleet.frame(1001.1, full=True))
    assert len(again["breakers"][0]["spark"]) == 60
    assert again["instances"] == first["instances"]


def test_a_snapshot_tells_of_what_moment_it_is_and_what_time_it_is_now() -> None:
    fleet = Fleet()
    fleet.report(1000.2, 1)
    fleet_snapshot = FleetSnapshot(MemoryBus(), wall=lambda: 1044.0)
    fleet_snapshot.merge(msgspec.json.decode(fleet.frame(1001.0)))
    snapshot = fleet_snapshot.snapshot(summary=True)
    assert (snapshot["at"], snapshot["now"]) == (1001.0, 1044.0)
    assert "instances" not in snapshot["services"][0]["breakers"][0]
    assert "instances" in fleet_snapshot.snapshot()["services"][0]["breakers"][0]
