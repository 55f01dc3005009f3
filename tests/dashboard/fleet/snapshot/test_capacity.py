"""The mirror knows whether a service has room for one more instance, and for which breakers not."""

from __future__ import annotations

import pytest

from breakers.protocol import messages as wire
from dashboard.bus.memory import MemoryBus
from dashboard.fleet import membership, state
from dashboard.fleet.checkpoint_batch import Batch
from dashboard.fleet.snapshot import store as snapshot_store


def test_a_full_service_has_room_only_for_those_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (membership, snapshot_store):
        monkeypatch.setattr(module, "MAX_INSTANCES", 2)
    fleet, fleet_snapshot = state.FleetState(), snapshot_store.FleetSnapshot(MemoryBus())
    assert fleet_snapshot.has_capacity("shop", "one")
    for id in ("one", "two", "three"):
        report = wire.Report(
            service="shop", instance=wire.Instance(id), boot="b", seq=1, interval_s=1.0
        )
        fleet.fold(report, 1000.0, Batch())
    for frame in fleet.full_frames(1000.0):
        fleet_snapshot.merge(frame)
    assert [fleet_snapshot.has_capacity("shop", id) for id in ("one", "two", "three")] == [
        True,
        True,
        False,
    ]
    assert fleet_snapshot.snapshot()["services"][0]["over_capacity"] == {
        "instances": 1,
        "breakers": 0,
    }
    assert fleet_snapshot.has_capacity("bank", "three")


def test_it_knows_what_is_not_watched_of_an_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "MAX_BREAKERS", 1)
    fleet, fleet_snapshot = state.FleetState(), snapshot_store.FleetSnapshot(MemoryBus())
    report = wire.Report(
        service="shop",
        instance=wire.Instance("one"),
        boot="b",
        seq=1,
        interval_s=1.0,
        breakers=[wire.BreakerReport(name=name, state="closed") for name in ("a", "b", "c")],
    )
    fleet.fold(report, 1000.0, Batch())
    for frame in fleet.frames(1000.0):
        fleet_snapshot.merge(frame)
    assert fleet_snapshot.over_capacity("shop", "one") == ["b", "c"]
    assert fleet_snapshot.over_capacity("shop", "two") == []
    assert fleet_snapshot.over_capacity("bank", "one") == []
