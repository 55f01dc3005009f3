"""A frame that was lost on the way is noticed by its number, and full frames are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from breakers.protocol import messages as wire
from breakers.testing import FakeClock
from dashboard.bus import Subscription
from dashboard.bus.memory import MemoryBus
from dashboard.fleet.checkpoint_batch import Batch
from dashboard.fleet.snapshot.store import FleetSnapshot
from dashboard.fleet.state import FleetState
from dashboard.fleet.worker import FRAMES, WANTED

NOW = 1000.0


class Fleet:
    """A worker's state, and the snapshot of a web process that follows its frames."""

    def __init__(self) -> None:
        self.bus, self.state, self.clock = MemoryBus(), FleetState(), FakeClock()
        self.snapshot = FleetSnapshot(self.bus, now=self.clock.monotonic)
        self.at, self.seq = NOW, 0
        self.questions: Subscription = self.bus.subscribe(WANTED)
        self.asked = 0

    def report(self, state: wire.State) -> None:
        self.seq += 1
        self.state.fold(
            wire.Report(
                service="shop",
                instance=wire.Instance("one"),
                boot="b",
                seq=self.seq,
                interval_s=1.0,
                breakers=[wire.BreakerReport(name="posts", state=state)],
            ),
            self.at,
            Batch(),
        )

    def frames(self, full: bool = False) -> list[bytes]:
        self.at += 1.0
        self.clock.advance(1.0)
        self.state.advance(self.at)
        made = self.state.full_frames(self.at) if full else self.state.frames(self.at)
        return [msgspec.json.encode(frame) for frame in made]

    async def deliver(self, frames: list[bytes]) -> None:
        for frame in frames:
            self.bus.publish(FRAMES, frame)
        for _ in range(10):
            await asyncio.sleep(0)

    async def count_questions(self) -> None:
        async for _ in self.questions:
            self.asked += 1

    @property
    def shown(self) -> str:
        view = self.snapshot.breaker("shop", "posts")
        assert view is not None
        return view["instances"][0]["state"]


@asynccontextmanager
async def following() -> AsyncIterator[Fleet]:
    fleet = Fleet()
    counting = asyncio.create_task(fleet.count_questions())
    fleet.snapshot.start()
    fleet.report("closed")
    await fleet.deliver(fleet.frames(full=True))
    assert fleet.asked == 1, "when it begins to follow"
    try:
        yield fleet
    finally:
        await fleet.snapshot.stop()
        fleet.questions.close()
        await counting


async def test_a_gap_in_the_numbers_asks_for_full_frames_at_once() -> None:
    async with following() as fleet:
        fleet.report("open")
        lost = fleet.frames()
        assert lost
        fleet.report("open")
        await fleet.deliver(fleet.frames())
        assert fleet.asked == 2
        await fleet.deliver(fleet.frames(full=True))
        assert fleet.shown == "open"


async def test_it_asks_again_while_the_question_too_is_lost_then_stops() -> None:
    async with following() as fleet:
        fleet.report("open")
        fleet.frames()
        for _ in range(3):
            fleet.report("open")
            await fleet.deliver(fleet.frames())
        assert fleet.asked == 4
        await fleet.deliver(fleet.frames(full=True))
        for _ in range(3):
            fleet.report("open")
            await fleet.deliver(fleet.frames())
        assert fleet.asked == 4, "nothing is missing any more"


@pytest.mark.parametrize("gone", [1, 3])
async def test_what_is_never_answered_is_asked_ten_times(gone: int) -> None:
    async with following() as fleet:
        for _ in range(gone):
            fleet.report("open")
            fleet.frames()
        for _ in range(20):
            fleet.report("open")
            await fleet.deliver(fleet.frames())
        assert fleet.asked == 11
