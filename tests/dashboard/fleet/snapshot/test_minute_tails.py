"""A breaker's last minute, told once and then by its end, is the same wherever it is kept."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from breakers.protocol import messages as wire
from dashboard.bus.memory import MemoryBus
from dashboard.fleet.checkpoint_batch import Batch
from dashboard.fleet.frame_types import Frame
from dashboard.fleet.snapshot.service_snapshot import extend_minute
from dashboard.fleet.snapshot.store import FleetSnapshot
from dashboard.fleet.state import FleetState
from dashboard.fleet.view_builders import TAIL

NOW = 1000.0


def report(seq: int, calls: int, age_s: float = 0.0) -> wire.Report:
    counts = wire.Counts(success=calls, failure=calls // 3)
    return wire.Report(
        service="shop",
        instance=wire.Instance("one"),
        boot="b",
        seq=seq,
        interval_s=1.0,
        age_s=age_s,
        breakers=[wire.BreakerReport(name="posts", state="closed", counts=counts)],
    )


def travelled(frame: Frame) -> Frame:
    """As it comes out of the bus."""
    return msgspec.json.decode(msgspec.json.encode(frame), type=Frame)


def test_it_is_told_whole_once_and_then_by_its_end() -> None:
    fleet = FleetState()
    fleet.fold(report(1, 40), NOW, Batch())
    counters = []
    for second in (1, 2):
        fleet.advance(NOW + second)
        (frame,) = fleet.frames(NOW + second)
        counters += frame["breakers"]
    first, again = counters
    assert len(first["spark"]) == len(first["spark_err"]) == 60
    assert "spark" not in again
    assert (again["tail"][-2], again["tail_err"][-2]) == (53, 13)
    assert len(again["tail"]) == len(again["tail_err"]) == TAIL


def test_a_full_frame_tells_all_of_it_again() -> None:
    fleet = FleetState()
    fleet.fold(report(1, 40), NOW, Batch())
    fleet.frames(NOW)
    assert len(next(fleet.full_frames(NOW + 1))["breakers"][0]["spark"]) == 60


@given(
    st.lists(
        st.tuples(st.floats(0.1, 3), st.integers(0, 90), st.floats(0, TAIL - 2)),
        min_size=1,
        max_size=40,
    )
)
def test_what_is_laid_over_is_what_the_fleet_knows(
    some: list[tuple[float, int, float]],
) -> None:
    fleet, fleet_snapshot, at, tick = FleetState(), FleetSnapshot(MemoryBus()), NOW, int(4 * NOW)
    for seq, (passes, calls, age_s) in enumerate([*some, (1.0, 1, 0.0)], 1):
        at += passes
        while tick / 4 < at:
            fleet.advance(tick / 4)
            for frame in fleet.frames(tick / 4):
                fleet_snapshot.merge(travelled(frame))
            tick += 1
        fleet.fold(report(seq, calls, age_s), at, Batch())
    at = tick / 4 + 1
    fleet.advance(at)
    (frame,) = fleet.frames(at)
    fleet_snapshot.merge(travelled(frame))
    known = fleet_snapshot.services["shop"].breakers["posts"]
    (truth,) = next(fleet.full_frames(at))["breakers"]
    assert known["spark"] == truth["spark"]
    assert known["spark_err"] == truth["spark_err"]


def test_a_minute_that_nobody_knows_begins_with_nothing() -> None:
    view = {"tail": [1, 2, 3, 4, 5], "tail_err": [0, 0, 0, 0, 1]}
    extend_minute(view, None, 0)  # type: ignore[arg-type]
    assert view["spark"] == [0] * 55 + [1, 2, 3, 4, 5]
    assert view["spark_err"] == [0] * 59 + [1]


def test_after_more_than_a_minute_nothing_is_left_of_the_one_before() -> None:
    before = {"spark": [9] * 60, "spark_err": [9] * 60}
    view = {"tail": [1] * 5, "tail_err": [0] * 5}
    extend_minute(view, before, 600)  # type: ignore[arg-type]
    assert view["spark"] == [0] * 55 + [1] * 5
