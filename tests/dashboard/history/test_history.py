"""What happened, kept in buckets of ten seconds, and read back as the columns of a chart."""

from __future__ import annotations

import pytest

from breakers import wire
from dashboard.fleet.batch import Batch
from dashboard.history import queries, services
from dashboard.history.models import Rollup, Transition

pytestmark = pytest.mark.django_db
NOW = 1_000_005.0


def absorb(at: float = NOW, seq: int = 1, **changes: object) -> None:
    fields = {
        "counts": wire.Counts(success=10, failure=2),
        "histogram": wire.Histogram({-30: 12}, 0.9),
        **changes,
    }
    breaker = wire.BreakerReport(name="posts", state="closed", **fields)  # type: ignore[arg-type]
    report = wire.Report(
        service="shop",
        instance=wire.Instance(id="one"),
        boot="b",
        seq=seq,
        interval_s=1.0,
        breakers=[breaker],
    )
    counts = {name: n for name in ("success", "failure") if (n := getattr(breaker.counts, name))}
    batch = Batch()
    batch.add(report, breaker, counts, at)
    services.absorb(batch)


def test_checkpoints_of_one_bucket_add_up() -> None:
    absorb()
    absorb(NOW + 2)
    row = Rollup.objects.get()
    assert (row.start, row.success, row.failure) == (1_000_000, 20, 4)
    assert services.sketch_of(row).buckets == {-30: 24}
    assert row.sum_s == pytest.approx(1.8)


def test_a_series_has_a_point_every_ten_seconds_and_none_for_the_bucket_still_filling() -> None:
    absorb(NOW)
    absorb(NOW + 20)
    series = queries.series("shop", "posts", 60, now=NOW + 22)
    assert series["t"] == [999_960 + 10 * n for n in range(6)]
    assert series["rate"]["success"] == [0, 0, 0, 0, 1.0, 0]
    assert series["latency"]["p50_ms"][3] is None
    assert 74 < series["latency"]["p50_ms"][4] < 82


def test_transitions_are_kept_once_and_make_the_state_strip() -> None:
    tripped = wire.Transition(1, 0.5, "closed", "open", "5 in a row", wire.Window(calls=9))
    probing = wire.Transition(2, 0.1, "open", "half_open", "the open time is over")
    absorb(transitions=[tripped, probing])
    absorb(seq=2, transitions=[tripped, probing])
    assert Transition.objects.count() == 2
    strip = queries.states("shop", "posts", NOW - 60)["one"]
    assert [each["state"] for each in strip] == ["closed", "open", "half_open"]
    assert queries.transitions("shop", "posts")[0].after == "half_open"
    assert queries.last_transitions() == {}, "they are of long ago"


def test_other_breakers_are_left_out() -> None:
    absorb()
    assert sum(queries.series("shop", "users", 60, now=NOW + 10)["rate"]["success"]) == 0


def test_what_is_too_old_goes() -> None:
    absorb()
    assert services.prune(NOW + services.ROLLUPS_KEPT_S - 60) == 0
    assert services.prune(NOW + services.ROLLUPS_KEPT_S + 60) == 1
