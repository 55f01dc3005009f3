"""Replays of history: what a candidate would have done, and how far that is from the truth."""

from __future__ import annotations

import pytest

from benchmarks.whatif import INSTANCES, error, incident, run
from breakers.circuit.policy import Policy
from dashboard.policies.whatif.history import Cancelled, replay
from dashboard.policies.whatif.recordings import RecordedCall, replay_calls
from dashboard.policies.whatif.slots import Slot, above, refused_shares

HEALTHY = [Slot(n * 10.0, success=100, buckets={-30: 100}) for n in range(12)]
DOWN = [Slot(n * 10.0, failure=100, buckets={-30: 100}) for n in range(12, 24)]


def test_healthy_traffic_is_let_through() -> None:
    found = replay(HEALTHY, Policy(), instances=2)
    assert (found.calls, found.rejected, found.failures, found.trips) == (1200, 0, 0, 0)
    assert [piece.state for piece in found.strips[0].pieces] == ["closed"]


def test_an_outage_opens_every_instance_and_spares_its_failures() -> None:
    policy = Policy(failure_threshold=5, timeout_duration=60.0, open_jitter=0.0)
    found = replay([*HEALTHY, *DOWN], policy, instances=2)
    # Five failures and one test call a minute, at each instance.
    assert found.failures == 2 * (5 + 1)
    assert found.failures_avoided == found.rejected == 1200 - found.failures
    assert found.trips == 4
    for strip in found.strips:
        assert strip.pieces[1].state == "open"
        assert strip.pieces[1].begins == pytest.approx(120, abs=2)


def test_a_breaker_whose_rules_are_off_avoids_nothing() -> None:
    found = replay([*HEALTHY, *DOWN], Policy(failure_threshold=None), instances=2)
    assert (found.failures, found.rejected) == (1200, 0)


def test_a_shorter_timeout_cuts_successes() -> None:
    slots = [Slot(n * 10.0, success=100, buckets={-30: 90, -8: 10}) for n in range(10)]
    found = replay(slots, Policy(timeout=0.2, failure_threshold=None), instances=1)
    assert (found.cut, found.successes_lost) == (100, 100)
    assert replay(slots, Policy(timeout=2.0), instances=1).cut == 0


def test_calls_that_timed_out_are_not_cut_twice() -> None:
    slot = Slot(0.0, success=90, timeout=10, buckets={-30: 90, 0: 10})
    assert above(slot, 0.5) == 0
    assert above(slot, 0.01) == 90


def test_refused_calls_of_the_slot_that_opened_would_have_failed_as_the_test_calls() -> None:
    slots = [
        Slot(0.0, success=100),
        Slot(10.0, success=20, failure=5, rejected=75),
        Slot(20.0, rejected=100),
        Slot(30.0, failure=2, rejected=98),
        Slot(40.0, success=50, failure=50),
    ]
    assert refused_shares(slots) == [0.0, 1.0, 1.0, 1.0, 0.5]


def test_a_replay_can_be_cancelled() -> None:
    def cancelled(share: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        replay(HEALTHY, Policy(), 1, cancelled)


def test_nothing_is_replayed_of_nothing() -> None:
    assert replay([], Policy(), 4).calls == 0


def test_the_error_against_the_truth_of_an_incident_is_known() -> None:
    calls = list(incident(seed=247))
    candidate = Policy(failure_threshold=10, timeout_duration=60.0)
    truth = run(calls, candidate)
    recorded = run(calls, Policy(failure_threshold=5, timeout_duration=30.0))
    assert error(truth, replay(recorded.slots, candidate, INSTANCES)) <= 5.0
    exact = replay_calls(
        [RecordedCall(each.at, each.instance, each.outcome, each.seconds) for each in calls],
        candidate,
        ends=1800.0,
    )
    assert exact.rejected == truth.rejected
    assert error(truth, exact) == 0.0
