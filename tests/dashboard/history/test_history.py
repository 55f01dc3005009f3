"""What happened, kept in buckets of three sizes, and read back as the columns of a chart."""

from __future__ import annotations

import pytest

from breakers.protocol import messages as wire
from dashboard.history import queries, services
from dashboard.history.models import Rollup, Transition
from tests.dashboard.history.reports import NOW, absorb

pytestmark = pytest.mark.django_db


def test_checkpoints_of_one_bucket_add_up() -> None:
    absorb()
    absorb(NOW + 2, buckets={-40: 3, -30: 9})
    row = Rollup.objects.get()
    assert (row.start, row.success, row.failure) == (1_699_999_200, 20, 4)
    assert services.sketch_of(row).buckets == {-40: 3, -30: 21}
    assert row.sum_s == pytest.approx(1.8)


def test_a_series_has_a_point_every_ten_seconds_and_none_for_the_bucket_still_filling() -> None:
    absorb(NOW)
    absorb(NOW + 20)
    series = queries.series("shop", "posts", NOW - 38, NOW + 22, now=NOW + 22)
    assert series["t"] == [1_699_999_160 + 10 * n for n in range(6)]
    assert series["rate"]["success"] == [0, 0, 0, 0, 1.0, 0]
    assert series["counts"]["failure"] == [0, 0, 0, 0, 2, 0]
    assert series["latency"]["p50_ms"][3] is None
    assert 74 < series["latency"]["p50_ms"][4] < 82
    assert series["latency"]["mean_ms"][4] == 75.0


def test_the_heatmap_has_a_row_for_each_bucket_and_a_column_for_each_point() -> None:
    absorb(buckets={-30: 7, -28: 5})
    heat = queries.series("shop", "posts", NOW - 25, NOW + 5, now=NOW + 6)["heatmap"]
    assert heat["counts"] == [None, None, [7, 0, 5]]
    assert len(heat["edges_ms"]) == 4
    assert heat["edges_ms"][0] < 75 < heat["edges_ms"][1]


def test_a_heatmap_of_very_different_latencies_stays_small_and_whole() -> None:
    absorb(buckets={-160: 1, 136: 2})
    heat = queries.series("shop", "posts", NOW - 5, NOW + 5, now=NOW + 6)["heatmap"]
    (column,) = heat["counts"]
    assert len(column) <= 64
    assert (column[0], column[-1], sum(column)) == (1, 2, 3)
    assert len(heat["edges_ms"]) == len(column) + 1


def test_a_service_is_the_sum_of_its_breakers_and_the_fleet_of_its_services() -> None:
    absorb(breaker="posts")
    absorb(breaker="users", success=5)
    absorb(service="web", success=1)

    def total(service: str | None, breaker: str | None) -> int:
        found = queries.series(service, breaker, NOW - 5, NOW + 5, now=NOW + 6)
        count: int = found["total"]["counts"]["success"]
        return count

    assert total("shop", "posts") == 10
    assert total("shop", None) == 15
    assert total(None, None) == 16


def test_sums_tell_each_breaker_of_a_range() -> None:
    absorb(breaker="posts")
    absorb(breaker="users", success=5, failure=0)
    absorb(service="web")
    found = queries.sums(NOW - 60, NOW + 5, "shop", now=NOW + 6)
    assert [(each["breaker"], each["calls"], each["error_pct"]) for each in found] == [
        ("posts", 12, 16.67),
        ("users", 5, 0.0),
    ]
    assert len(queries.sums(NOW - 60, NOW + 5, now=NOW + 6)) == 3


def test_other_breakers_are_left_out() -> None:
    absorb()
    series = queries.series("shop", "users", NOW - 55, NOW + 5, now=NOW + 10)
    assert series["total"]["calls"] == 0
    assert series["heatmap"] == {"edges_ms": [], "counts": [None] * 6}


@pytest.mark.parametrize(
    ("hours", "step_s", "level_s"),
    [
        (1 / 12, 10, 10),
        (1, 10, 10),
        (6, 60, 60),
        (24, 300, 60),
        (7 * 24, 1800, 60),
        (30 * 24, 7200, 3600),
        (365 * 24, 86_400, 3600),
    ],
)
def test_every_range_has_at_most_400_points(hours: float, step_s: int, level_s: int) -> None:
    absorb(NOW)
    series = queries.series("shop", "posts", NOW - hours * 3600, NOW + 60, now=NOW + 60)
    assert (series["step_s"], series["level_s"]) == (step_s, level_s)
    assert len(series["t"]) <= 400
    assert series["total"]["counts"]["success"] == 10, "nothing was rolled up yet, all is told"


def test_a_range_of_long_ago_is_told_as_finely_as_it_is_kept() -> None:
    three_days, a_month = NOW - 3 * 86_400, NOW - 30 * 86_400
    assert queries.plan(three_days, three_days + 300, NOW).step_s == 60
    assert queries.plan(a_month, a_month + 300, NOW).step_s == 3600


def test_the_last_point_is_of_what_has_passed_of_its_step() -> None:
    absorb(NOW)
    series = queries.series("shop", "posts", NOW - 86_400, NOW + 35, now=NOW + 35)
    assert series["to"] - series["t"][-1] == 40
    assert series["rate"]["success"][-1] == 10 / 40


def test_transitions_are_kept_once() -> None:
    tripped = wire.Transition(1, 0.5, "closed", "open", "5 in a row", wire.Window(calls=9))
    probing = wire.Transition(2, 0.1, "open", "half_open", "wait ended, testing again")
    absorb(transitions=[tripped, probing])
    absorb(NOW + 3, transitions=[tripped, probing])
    assert Transition.objects.count() == 2
    newest = queries.transitions("shop", "posts")
    assert [each.after for each in newest] == ["half_open", "open"]
    assert newest[1].window["calls"] == 9
    assert queries.last_transitions() == {}, "they are of another time"
