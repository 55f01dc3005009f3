"""When the calls of a slot are made: at the rates around it, where an outage begins or ends."""

from __future__ import annotations

import random

import pytest

from dashboard.policies.whatif.pace import Around, Pace, failing
from dashboard.policies.whatif.slots import Slot, Took, took

BEGINS = Around(before=0.0, here=0.5, after=1.0, rate_before=10.0, rate_after=40.0)
ENDS = Around(before=1.0, here=0.5, after=0.0, rate_before=40.0, rate_after=10.0)
SLOT = Slot(100.0, success=50, failure=50)


def test_without_a_change_calls_come_evenly() -> None:
    pace = Pace.of(SLOT, 100, 50, Around(0.5, 0.5, 0.5, 10.0, 40.0))
    assert [pace.at(0), pace.at(99)] == pytest.approx([100.05, 109.95])


def test_an_outage_that_begins_comes_at_the_rate_after_it() -> None:
    pace = Pace.of(SLOT, 100, 50, BEGINS)
    # 50 calls at 10 a second and 50 at 40 take 5 s and 1.25 s, in proportion of ten.
    assert pace.at(49) < 108.0 < pace.at(50)
    assert pace.at(99) < 110.0
    assert failing(100, 50, BEGINS, random.Random(1)) == list(range(50, 100))


def test_an_outage_whose_beginning_is_known_begins_there() -> None:
    pace = Pace.of(Slot(100.0, success=50, failure=50, outage_s=3.0), 100, 50, BEGINS)
    assert pace.at(49) < 103.0 < pace.at(50)
    assert pace.at(99) < 110.0


def test_one_that_ends_comes_first() -> None:
    pace = Pace.of(SLOT, 100, 50, ENDS)
    assert pace.at(49) < 102.0 < pace.at(50)
    assert failing(100, 50, ENDS, random.Random(1)) == list(range(50))


@pytest.mark.parametrize("around", [BEGINS, ENDS, Around(0.5, 0.5, 0.5)])
@pytest.mark.parametrize("n", [1, 2, 7, 100])
def test_the_first_call_from_a_time_on_is_not_before_it(around: Around, n: int) -> None:
    pace = Pace.of(SLOT, n, n // 2, around)
    times = [pace.at(i) for i in range(n)]
    assert times == sorted(times)
    for at in [90.0, 100.0, *times, 107.9, 108.0, 109.99, 110.0, 200.0]:
        found = pace.first_from(at)
        assert all(each < at for each in times[:found])
        assert all(each >= at - 1e-6 for each in times[found:])


def test_calls_that_timed_out_are_the_slowest() -> None:
    slot = Slot(0.0, success=90, timeout=10, buckets={-30: 90, -8: 10})
    found = took(slot, Took())
    assert found.success == pytest.approx(0.077, rel=0.1)
    assert found.failed == pytest.approx(0.52, rel=0.1)


def test_where_no_call_ran_they_take_as_long_as_before() -> None:
    assert took(Slot(0.0, rejected=9), Took(0.1, 0.5)) == Took(0.1, 0.5)
