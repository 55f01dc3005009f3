"""The quorum rule and warm starts, decided from what instances report."""

from __future__ import annotations

from typing import Any

import pytest

from breakers.protocol import messages as wire
from dashboard.bus.interface import ALL
from dashboard.fleet.checkpoint_batch import Batch
from dashboard.fleet.frame_types import OverrideInfo
from dashboard.fleet.quorum import BY, QuorumEnd, QuorumRule, QuorumTrip, warm_state
from dashboard.fleet.state import FleetState

NOW = 1_000_000.0
HALF = QuorumRule(0.5)


class Shop:
    """Instances of a breaker that report."""

    def __init__(self) -> None:
        self.state = FleetState()
        self.batch = Batch()
        self._seq = 0

    def tell(self, states: dict[str, str], zone: str = "", **more: Any) -> None:
        self._seq += 1
        for instance, state in states.items():
            breaker = wire.BreakerReport("posts", state, cause=more.get("cause", ""))
            breaker.since_s = more.get("since_s", 0.0)
            who = wire.Instance(instance, zone=zone, idle=more.get("idle", False))
            self.state.fold(
                wire.Report("shop", who, "b", self._seq, 1.0, [breaker]), NOW, self.batch
            )

    def dues(self, rule: QuorumRule | None = HALF, at: float = NOW) -> list[Any]:
        return self.state.quorums_due(lambda *_: rule, at, ALL)

    def stands(self, *instances: str, by: str = BY) -> None:
        fields = ("o", "shop", "posts", list(instances), "forced_open", "why", by, 1, NOW + 30)
        self.state.set_overrides([OverrideInfo(*fields)])


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.tell({f"i{n}": "closed" for n in range(4)})
    return shop


def test_one_bad_instance_never_opens_the_others(shop: Shop) -> None:
    shop.tell({"i0": "open"})
    assert shop.dues() == []
    assert shop.dues(QuorumRule(0.01, instances=1)) == []


def test_a_quorum_opens_the_closed_ones_and_says_why(shop: Shop) -> None:
    shop.tell({"i0": "open", "i1": "open", "i2": "open"})
    (due,) = shop.dues(QuorumRule(0.75, hold_s=20.0))
    assert due == QuorumTrip(
        "shop",
        "posts",
        ("i3",),
        20.0,
        "quorum: 3 of 4 instances opened by themselves within 10 s",
    )


def test_without_a_rule_nothing_spreads(shop: Shop) -> None:
    shop.tell({"i0": "open", "i1": "open", "i2": "open"})
    assert shop.dues(None) == []


@pytest.mark.parametrize(
    "rule",
    [QuorumRule(1.0), QuorumRule(0.5, instances=4), QuorumRule(0.5, zones=2)],
    ids=["share", "instances", "zones"],
)
def test_each_condition_is_needed(shop: Shop, rule: QuorumRule) -> None:
    shop.tell({"i0": "open", "i1": "open", "i2": "open"}, zone="eu")
    assert shop.dues(rule) == []


def test_two_zones_are_enough_for_two(shop: Shop) -> None:
    shop.tell({"i0": "open"}, zone="eu")
    shop.tell({"i1": "open"}, zone="us")
    assert len(shop.dues(QuorumRule(0.5, zones=2))) == 1


def test_those_that_opened_long_ago_do_not_count(shop: Shop) -> None:
    shop.tell({"i0": "open", "i1": "open"}, since_s=60.0)
    assert shop.dues() == []


def test_those_that_took_over_the_state_of_others_do_not_count(shop: Shop) -> None:
    shop.tell({"i0": "open", "i1": "open"}, cause="warm start: 2 of the other 3 are open")
    assert shop.dues() == []


def test_silent_and_idle_instances_neither_count_nor_are_opened(shop: Shop) -> None:
    shop.tell({"master": "closed"}, idle=True)
    shop.tell({"i0": "open", "i1": "open"})
    (due,) = shop.dues()
    assert due.instances == ("i2", "i3")
    shop.state.advance(NOW + 60.0)
    assert shop.dues(at=NOW + 5.0) == []


def test_one_that_is_half_open_tests_by_itself(shop: Shop) -> None:
    shop.tell({"i0": "open", "i1": "open", "i2": "half_open"})
    (due,) = shop.dues()
    assert due.instances == ("i3",)


def test_an_override_of_a_person_is_left_alone(shop: Shop) -> None:
    shop.tell({"i0": "open", "i1": "open", "i2": "open"})
    shop.stands("i3", by="ann")
    assert shop.dues() == []
    shop.tell({"i0": "closed", "i1": "closed", "i2": "closed"})
    assert shop.dues() == []


def test_it_ends_when_the_test_calls_of_the_majority_succeed(shop: Shop) -> None:
    shop.tell({"i0": "open", "i1": "open", "i2": "open"})
    shop.stands("i3")
    shop.tell({"i3": "forced_open", "i0": "closed", "i1": "half_open"})
    assert shop.dues() == []
    shop.tell({"i1": "closed"})
    assert shop.dues() == [
        QuorumEnd("shop", "posts", "o", "the test calls of 2 of 3 instances succeeded")
    ]


class TestWarmStart:
    def view(self, shop: Shop) -> Any:
        (frame,) = shop.state.full_frames(NOW)
        return frame["breakers"][0]

    def test_a_new_instance_is_open_when_the_others_are(self, shop: Shop) -> None:
        shop.tell({"i0": "open", "i1": "open", "i2": "forced_open"}, since_s=2.0)
        state = warm_state(self.view(shop), "new", 0.5, NOW)
        assert state is not None
        assert (state.open, state.total, state.open_for_s) == (3, 4, 2.0)

    def test_one_open_instance_is_no_fleet(self) -> None:
        shop = Shop()
        shop.tell({"i0": "open"})
        assert warm_state(self.view(shop), "new", 0.01, NOW) is None

    def test_the_share_is_of_the_other_instances(self, shop: Shop) -> None:
        shop.tell({"i0": "open", "i1": "open"})
        assert warm_state(self.view(shop), "i2", 0.66, NOW) is not None
        assert warm_state(self.view(shop), "new", 0.66, NOW) is None
