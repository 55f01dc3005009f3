"""What a service has no room for is told by name where it can be, and counted where it must be."""

from __future__ import annotations

from typing import Any

import pytest

from breakers.protocol import messages as wire
from dashboard.fleet import membership
from dashboard.fleet.state import FORGET_AFTER_S
from tests.dashboard.fleet.reporting import NOW, Fleet, report


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """With room for two breakers and two instances."""
    monkeypatch.setattr(membership, "MAX_BREAKERS", 2)
    monkeypatch.setattr(membership, "MAX_INSTANCES", 2)
    return Fleet()


def over_capacity(fleet: Fleet, at: float = NOW) -> dict[str, Any]:
    """What the next frame says of it, by instance."""
    return {
        each["id"]: each.get("over_capacity")
        for frame in fleet.state.frames(at)
        for each in frame["instances"]
    }


def several(*names: str, seq: int = 1, instance: str = "one", boot: str = "b") -> wire.Report:
    breakers = [
        wire.BreakerReport(name=name, state="closed", counts=wire.Counts(success=1))
        for name in names
    ]
    return wire.Report(
        service="shop",
        instance=wire.Instance(instance),
        boot=boot,
        seq=seq,
        interval_s=1.0,
        breakers=breakers,
    )


def counted(fleet: Fleet) -> dict[str, int]:
    fleet.state.flush(fleet.batch)
    return {key[1]: delta.counts["success"] for key, delta in fleet.batch.deltas.items()}


class TestBreakers:
    def test_those_without_room_are_told_with_their_instance_and_the_others_count(
        self, fleet: Fleet
    ) -> None:
        fleet.fold(several("posts", "users", "late", "later"))
        fleet.fold(several("posts", instance="two"))
        assert over_capacity(fleet) == {"one": ["late", "later"], "two": None}
        assert counted(fleet) == {"posts": 2, "users": 1}

    def test_so_many_are_named(self, fleet: Fleet) -> None:
        fleet.fold(several(*(f"user-{n}" for n in range(100))))
        (named,) = over_capacity(fleet).values()
        assert len(named) == wire.MAX_OVER_CAPACITY

    def test_one_for_which_there_is_room_again_is_no_longer_told_of(self, fleet: Fleet) -> None:
        fleet.fold(several("posts", instance="gone"))
        fleet.fold(several("users", "late"))
        assert over_capacity(fleet)["one"] == ["late"]
        later = NOW + FORGET_AFTER_S + 1
        fleet.fold(several(seq=2), later)
        fleet.state.advance(later)
        assert over_capacity(fleet, later) == {"one": ["late"]}, "it has not been heard of since"
        fleet.fold(several("late", seq=3), later)
        assert over_capacity(fleet, later) == {"one": None}
        (frame,) = fleet.state.full_frames(later)
        assert [each["name"] for each in frame["breakers"]] == ["late", "users"]

    def test_another_life_of_an_instance_may_have_other_breakers(self, fleet: Fleet) -> None:
        fleet.fold(several("posts", "users", "late"))
        fleet.fold(several("posts", boot="c"))
        assert over_capacity(fleet) == {"one": None}


class TestInstances:
    def test_what_an_instance_without_room_has_counted_counts(self, fleet: Fleet) -> None:
        """The gate is told a moment later: what it lets through meanwhile it will call safe."""
        for name in ("one", "two", "three"):
            for _ in range(2):
                fleet.fold(several("posts", instance=name))
        (frame,) = fleet.state.full_frames(NOW)
        assert [each["id"] for each in frame["instances"]] == ["one", "two"]
        assert frame["over_capacity"] == {"instances": 1, "breakers": 0}
        assert counted(fleet) == {"posts": 3}

    def test_a_breaker_that_nobody_shown_has_takes_no_room_for_ever(self, fleet: Fleet) -> None:
        fleet.fold(report("one"))
        fleet.fold(report("two"))
        fleet.fold(several("hidden", instance="three"))
        assert counted(fleet) == {"hidden": 1}
        for second in range(1, 90):
            fleet.state.advance(NOW + second)
        fleet.fold(several("users", seq=2), NOW + 90)
        assert over_capacity(fleet, NOW + 90)["one"] is None
