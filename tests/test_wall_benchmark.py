"""The synthetic fleet of benchmarks/wall emits the frames of a real one."""

from __future__ import annotations

import msgspec

from benchmarks.wall.fleet import A_SERVICE, INSTANCES, SyntheticFleet
from dashboard.bus.memory import MemoryBus
from dashboard.fleet.frame_types import Frame
from dashboard.fleet.snapshot.store import FleetSnapshot


def test_its_frames_are_frames_and_make_a_whole_fleet() -> None:
    fleet = SyntheticFleet(A_SERVICE + 50)
    fleet_snapshot = FleetSnapshot(MemoryBus())
    for tick in range(9):
        for frame in fleet.frames(1000 + tick / 4, full=tick == 0):
            fleet_snapshot.merge(msgspec.convert(frame, Frame))
    services = fleet_snapshot.snapshot()["services"]
    assert [len(service["breakers"]) for service in services] == [A_SERVICE, 50]
    breakers = [each for service in services for each in service["breakers"]]
    assert {len(each["instances"]) for each in breakers} == {INSTANCES}
    assert {len(each["spark"]) for each in breakers} == {60}
    assert {each["state"] for each in breakers} >= {"open", "closed"}


def test_every_breaker_is_in_every_frame() -> None:
    fleet = SyntheticFleet(30)
    for tick in range(5):
        (frame,) = fleet.frames(1000 + tick / 4)
        assert len(frame["breakers"]) == 30
