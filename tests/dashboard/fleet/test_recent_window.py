"""The last minute of a breaker keeps nothing of reports without calls."""

from __future__ import annotations

from breakers.circuit.records import OUTCOMES
from dashboard.fleet.recent_window import SECONDS, RecentWindow

NONE = [0] * len(OUTCOMES)
ONE_SUCCESS = [int(name == "success") for name in OUTCOMES]


def test_reports_without_calls_take_no_memory_and_leave_a_breaker_idle() -> None:
    window = RecentWindow()
    for second in range(1000, 1000 + SECONDS):
        window.add(second, NONE, {}, 0.0)
    assert window._seconds == {}
    assert window.is_idle(1000 + SECONDS)


def test_calls_move_the_figures_for_a_minute() -> None:
    window = RecentWindow()
    window.add(1000, ONE_SUCCESS, {-30: 1}, 0.1)
    window.add(1000, ONE_SUCCESS, {}, 0.0)
    counts, latencies = window.recent(1001)
    assert counts == {"success": 2}
    assert latencies.count == 1
    assert not window.is_idle(1000 + SECONDS)
    assert window.is_idle(1000 + SECONDS + 1)
