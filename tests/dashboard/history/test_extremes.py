"""Peaks and lows of ten seconds survive at the coarse levels of history."""

from __future__ import annotations

import pytest

from dashboard.history import queries, services
from dashboard.history.levels import DAY, HOUR
from dashboard.history.models import MinuteRollup
from tests.dashboard.history.reports import NOW, absorb

pytestmark = pytest.mark.django_db


def test_a_peak_of_ten_seconds_survives_at_every_level() -> None:
    for second in range(0, 7200, 10):
        absorb(NOW + second, success=570 if second == 600 else 20, failure=0)
    now = NOW + 7200 + HOUR
    services.roll_up(now)
    for back in (2 * HOUR, 2 * DAY, 20 * DAY):
        found = queries.series("shop", "posts", NOW - back, now, now=now)
        at = max(range(len(found["t"])), key=lambda i: found["calls"]["max"][i])
        assert found["calls"]["max"][at] == 57.0
        if back == 20 * DAY:
            assert found["rate"]["success"][at] < 4, "the mean of the hour"
    quiet = queries.series("shop", "posts", NOW + 1200, NOW + 3000, step_s=60, now=now)
    assert set(quiet["calls"]["min"][1:-1]) == {2.0}
    assert queries.series("shop", None, NOW, now, now=now)["calls"] == {}


def test_rows_from_before_peaks_were_kept_show_their_mean() -> None:
    for second in range(0, 120, 10):
        absorb(NOW + second, success=20, failure=0)
    now = NOW + 2 * HOUR
    services.roll_up(now)
    MinuteRollup.objects.update(peak=0, low=0)
    found = queries.series("shop", "posts", now - 2 * DAY, now, now=now + 2 * DAY)
    assert max(found["calls"]["max"]) == 2.0


def test_ten_seconds_without_a_call_are_the_least_there_is() -> None:
    for second in (0, 10, 20, 40, 50):
        absorb(NOW // 60 * 60 + 65 + second, success=20, failure=0)
    services.roll_up(NOW + HOUR)
    (row,) = MinuteRollup.objects.all()
    assert (row.low, row.peak) == (0, 20)
