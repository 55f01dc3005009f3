"""Where outages begin in their rollups, told from the times at which breakers opened."""

from __future__ import annotations

import pytest

from breakers.circuit.policy import Policy
from dashboard.policies.whatif.openings import failures_to_open, place_outages
from dashboard.policies.whatif.slots import Slot

FIVE = Policy(failure_threshold=5)
CALM = Slot(0.0, success=200)
# Two instances, ten failures and ten refusals at each.
OUTAGE = Slot(10.0, success=100, failure=20, rejected=20)


def opened(at: float) -> list[tuple[float, str]]:
    return [(0.0, "closed"), (at, "open"), (at + 5, "half_open")]


def test_the_failure_that_opens_comes_when_the_breakers_opened() -> None:
    _, slot = place_outages([CALM, OUTAGE], {"a": opened(15.8), "b": opened(16.2)}, FIVE, 2)
    assert slot.outage_s is not None
    # Twenty calls at each instance come evenly from the beginning of the outage to the slot's end.
    step = (10.0 - slot.outage_s) / 20
    assert slot.at + slot.outage_s + 4.5 * step == pytest.approx(16.0)


def test_an_outage_that_half_of_the_instances_did_not_notice_is_not_placed() -> None:
    slots = place_outages([CALM, OUTAGE], {"a": opened(16.0)}, FIVE, 4)
    assert [each.outage_s for each in slots] == [None, None]


@pytest.mark.parametrize(
    ("before", "strip"),
    [
        (Slot(0.0, rejected=5), opened(16.0)),  # calls were refused before it
        (CALM, [(0.0, "half_open"), (16.0, "open")]),  # a test call failed
        (CALM, [(0.0, "closed"), (16.0, "forced_open")]),  # an operator's override
        (CALM, [(16.0, "open")]),  # what was before is not known
        (CALM, opened(3.0)),  # elsewhere
        (CALM, opened(10.1)),  # its failures began in the slot before
    ],
)
def test_what_does_not_say_when_the_outage_began(
    before: Slot, strip: list[tuple[float, str]]
) -> None:
    assert place_outages([before, OUTAGE], {"a": strip}, FIVE, 1)[1].outage_s is None


def test_fewer_failures_than_it_takes_to_open_say_nothing() -> None:
    few = Slot(10.0, success=100, failure=4)
    assert place_outages([CALM, few], {"a": opened(16.0)}, FIVE, 1)[1].outage_s is None


def test_how_many_failures_open_a_breaker() -> None:
    assert failures_to_open(FIVE) == 5
    by_rate = Policy(failure_threshold=None, failure_rate_threshold=0.5, minimum_calls=21)
    assert failures_to_open(by_rate) == 11
    assert failures_to_open(by_rate.replace({"failure_threshold": 4})) == 4
