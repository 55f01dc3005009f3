"""An outage lasts from the first trip of a breaker until no instance is open or half-open."""

from __future__ import annotations

from typing import Any

import pytest

from breakers.protocol import messages as wire
from dashboard.bus.interface import partition_of
from dashboard.fleet.checkpoint_batch import Batch
from dashboard.fleet.frame_types import OutageView
from dashboard.fleet.outages import (
    GONE,
    GONE_AFTER_S,
    OVERRIDDEN,
    RECOVERED,
    RESUME_WITHIN_S,
    OutageRow,
)
from dashboard.fleet.state import FleetState

NOW = 1_000_000.0


class Fleet:
    """One service with one breaker, fed with reports."""

    def __init__(self) -> None:
        self.state = FleetState()
        self.batch = Batch(partition=partition_of("shop"))
        self.at = NOW
        self._seqs: dict[str, int] = {}
        self._ids = 0

    def report(
        self, state: str, was: str = "", instance: str = "one", cause: str = "", **more: Any
    ) -> None:
        """What an instance reports now; `was` adds the transition that led to the state."""
        seq = self._seqs[instance] = more.pop("seq", self._seqs.get(instance, 0) + 1)
        transitions = []
        if was:
            self._ids += 1
            change = wire.Transition(
                id=self._ids, ago_s=more.pop("ago_s", 0.0), from_=was, to=state, cause=cause
            )
            transitions = [change]
        breaker = wire.BreakerReport(
            name="posts",
            state=state,
            cause=cause,
            counts=wire.Counts(**more.pop("counts", {})),
            transitions=transitions,
            since_s=more.pop("since_s", 0.0),
        )
        message = wire.Report(
            service="shop",
            instance=wire.Instance(id=instance),
            boot="b",
            seq=seq,
            interval_s=1.0,
            breakers=[breaker],
            **more,
        )
        self.state.fold(message, self.at, self.batch)

    def wait(self, seconds: float) -> None:
        self.at += seconds
        self.state.advance(self.at)

    def outage(self) -> OutageView | None:
        """What the next frame says."""
        (frame,) = self.state.full_frames(self.at)
        return frame["breakers"][0]["outage"]

    def stored(self) -> list[OutageRow]:
        """Every outage that checkpoints have stored, in order of their beginnings."""
        self.state.flush(self.batch)
        return sorted(self.batch.outages.values(), key=lambda row: row.began)


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def test_ten_minutes_with_a_failed_test_call_each_ten_seconds_are_one_outage(fleet: Fleet) -> None:
    fleet.report("open", was="closed", cause="5 failures in a row", counts={"timeout": 5})
    for _ in range(60):
        fleet.wait(10)
        fleet.report("half_open", was="open", cause="open time elapsed")
        fleet.report("open", was="half_open", cause="test call failed", counts={"rejected": 40})
    outage = fleet.outage()
    assert outage is not None
    assert outage["began"] == NOW
    assert outage["cause"] == "5 timeouts in a row"
    assert (outage["failed_tests"], outage["refused"]) == (60, 2400)
    assert len(fleet.stored()) == 1


def test_it_ends_when_the_last_instance_closes(fleet: Fleet) -> None:
    fleet.report("open", was="closed")
    fleet.wait(1)
    fleet.report("open", was="closed", instance="two")
    fleet.wait(1)
    fleet.report("half_open", was="open")
    fleet.report("closed", was="half_open")
    assert fleet.outage() is not None
    fleet.wait(1)
    fleet.report("closed", was="half_open", instance="two")
    assert fleet.outage() is None
    (row,) = fleet.stored()
    assert (row.began, row.ended, row.ended_as) == (NOW, NOW + 3, RECOVERED)
    assert row.instances == 2


def test_the_earliest_trip_is_the_beginning_whichever_is_reported_first(fleet: Fleet) -> None:
    fleet.report("open", was="closed", cause="second")
    fleet.report("open", was="closed", instance="two", cause="first", ago_s=3.0)
    outage = fleet.outage()
    assert outage is not None
    assert (outage["began"], outage["cause"], outage["instance"]) == (NOW - 3, "first", "two")


def test_a_trip_soon_after_a_recovery_continues_the_outage(fleet: Fleet) -> None:
    fleet.report("open", was="closed", cause="first")
    fleet.report("closed", was="half_open")
    fleet.wait(RESUME_WITHIN_S - 1)
    fleet.report("open", was="closed", cause="again")
    outage = fleet.outage()
    assert outage is not None
    assert (outage["began"], outage["cause"]) == (NOW, "first")
    assert len(fleet.stored()) == 1


def test_a_trip_later_than_that_is_another_outage(fleet: Fleet) -> None:
    fleet.report("open", was="closed", cause="first")
    fleet.report("closed", was="half_open")
    fleet.wait(RESUME_WITHIN_S + 1)
    fleet.report("open", was="closed", cause="again")
    assert [row.cause for row in fleet.stored()] == ["first", "again"]


def test_a_state_without_its_transition_begins_and_ends_an_outage(fleet: Fleet) -> None:
    fleet.report("open", since_s=30.0, cause="5 failures in a row")
    outage = fleet.outage()
    assert outage is not None
    assert (outage["began"], outage["cause"]) == (NOW - 30, "5 failures in a row")
    fleet.wait(1)
    fleet.report("closed")
    assert fleet.outage() is None


def test_an_override_ends_it_and_a_failed_test_call_after_it_continues_it(fleet: Fleet) -> None:
    fleet.report("open", was="closed", cause="first")
    fleet.report("forced_open", was="open", cause="operator")
    assert fleet.outage() is None
    assert fleet.stored()[0].ended_as == OVERRIDDEN
    fleet.wait(120)
    fleet.report("half_open", was="forced_open")
    fleet.report("open", was="half_open", cause="test call failed")
    outage = fleet.outage()
    assert outage is not None
    assert (outage["began"], outage["cause"], outage["failed_tests"]) == (NOW, "first", 1)


def test_half_open_after_forced_open_is_no_outage(fleet: Fleet) -> None:
    fleet.report("forced_open", was="closed")
    fleet.report("half_open", was="forced_open")
    assert fleet.outage() is None


def test_a_service_that_disappears_does_not_fail_for_ever(fleet: Fleet) -> None:
    fleet.report("open", was="closed")
    fleet.wait(GONE_AFTER_S + 2)
    fleet.wait(GONE_AFTER_S + 2)
    (row,) = fleet.stored()
    assert row.ended_as == GONE


def test_a_repeated_report_counts_once(fleet: Fleet) -> None:
    fleet.report("open", was="half_open", seq=1)
    fleet.report("open", was="half_open", seq=1)
    assert fleet.stored()[0].failed_tests == 1


def test_an_overtaken_trip_of_an_instance_that_closed_since_does_not_last(fleet: Fleet) -> None:
    fleet.report("closed", seq=5)
    fleet.report("open", was="closed", seq=4, ago_s=2.0)
    fleet.wait(30)
    fleet.report("closed", seq=6)
    fleet.wait(1)
    assert fleet.outage() is None


def test_test_calls_that_pass_are_counted(fleet: Fleet) -> None:
    fleet.report("open", was="closed", counts={"success": 20, "failure": 5})
    fleet.report("half_open", was="open", counts={"rejected": 3})
    fleet.report("half_open", counts={"success": 1})
    fleet.report("open", was="half_open", counts={"failure": 1})
    (row,) = fleet.stored()
    assert (row.passed_tests, row.failed_tests, row.refused) == (1, 1, 3)


def test_the_next_worker_continues_it(fleet: Fleet) -> None:
    fleet.report("open", was="closed", cause="first")
    successor = Fleet()
    successor.at = NOW + 5
    rows = fleet.stored()
    successor.state.restore(["shop"], {}, {}, successor.at, outages=rows)
    successor.report("open", since_s=5.0)
    outage = successor.outage()
    assert outage is not None
    assert (outage["id"], outage["began"], outage["cause"]) == (rows[0].id, NOW, "first")
    successor.wait(1)
    successor.report("closed", was="open")
    assert successor.outage() is None
    assert [(row.id, row.ended) for row in successor.stored()] == [(rows[0].id, NOW + 6)]


def test_reading_the_same_reports_again_makes_the_same_outage() -> None:
    rows = []
    for _ in range(2):
        fleet = Fleet()
        fleet.report("open", was="closed", ago_s=0.25)
        rows.append(fleet.stored()[0].id)
    assert rows[0] == rows[1]
