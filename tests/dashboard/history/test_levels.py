"""From ten seconds to a minute to an hour: every count at every level exactly once, whatever comes
late, twice, at once, or is cut off in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from django.db import OperationalError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.fleet.checkpoint_batch import Batch, Delta, Span
from dashboard.fleet.models import DeadLetter
from dashboard.history import partitions, queries, services, upserts
from dashboard.history.levels import DAY, HOUR, LEVELS
from dashboard.history.models import HourRollup, MinuteRollup, Rollup
from dashboard.history.sketches import MOST
from dashboard.history.span_splitting import spread
from tests.dashboard.history.reports import NOW, absorb, batch_of

pytestmark = pytest.mark.django_db


def successes() -> tuple[int, int, int]:
    """What each level holds in all."""
    levels = (Rollup, MinuteRollup, HourRollup)
    ten, minute, hour = (sum(m.objects.values_list("success", flat=True)) for m in levels)
    return ten, minute, hour


def successes_between(from_: float, to: float, now: float) -> int:
    """What a chart over a range adds up to."""
    total: int = queries.series("shop", "posts", from_, to, now=now)["total"]["counts"]["success"]
    return total


def test_each_level_takes_over_what_has_settled_below() -> None:
    for second in range(0, 7200, 10):
        absorb(NOW + second, success=1, failure=0)
    now = NOW + 7200
    services.roll_up(now)
    ten, minute, hour = successes()
    assert ten == 720
    assert minute == 708, "the last two minutes have not settled"
    assert hour == 360, "nor has the last hour"
    row = HourRollup.objects.get()
    assert services.sketch_of(row).buckets == {-30: 360}
    assert row.sum_s == pytest.approx(360 * 0.075)


def test_every_range_adds_up_to_the_same_before_and_after_rolling_up() -> None:
    for second in range(0, 4 * HOUR, 30):
        absorb(NOW + second, success=1, failure=0)
    now = NOW + 4 * HOUR
    ranges = [now - 300, now - HOUR, now - 5 * HOUR, now - 7 * DAY, now - 30 * DAY, now - 90 * DAY]
    before = [successes_between(since, now, now) for since in ranges]
    assert services.roll_up(now) > 0
    assert [successes_between(since, now, now) for since in ranges] == before
    assert before[-1] == 480


def test_rolling_up_again_changes_nothing() -> None:
    absorb()
    services.roll_up(NOW + 2 * HOUR)
    first = successes()
    assert services.roll_up(NOW + 2 * HOUR) == 0
    assert successes() == first == (10, 10, 10)


def test_what_comes_late_goes_to_every_level_that_has_passed_its_time() -> None:
    absorb()
    now = NOW + 2 * HOUR
    services.roll_up(now)
    absorb(now, age_s=2 * HOUR, now=now)
    absorb(now, age_s=60, now=now)
    assert successes() == (30, 20, 20)
    services.roll_up(now + 2 * HOUR)
    assert successes() == (30, 30, 30)


def test_what_is_too_old_for_ten_seconds_is_kept_by_the_minute_and_then_by_the_hour() -> None:
    now = NOW + 60 * DAY
    services.roll_up(now)
    absorb(now, age_s=2 * DAY, now=now)
    assert successes() == (0, 10, 10)
    absorb(now, age_s=20 * DAY, now=now)
    assert successes() == (0, 10, 20)
    absorb(now, age_s=800 * DAY, now=now)
    assert successes() == (0, 10, 20), "older than anything that is kept"


def test_what_is_late_before_anything_was_rolled_up_is_not_counted_twice() -> None:
    absorb(NOW, age_s=2 * DAY)
    assert successes() == (0, 10, 0)
    services.roll_up(NOW + 5 * HOUR)
    assert successes() == (0, 10, 10)


def test_a_report_of_two_minutes_is_spread_over_them() -> None:
    absorb(NOW, interval_s=120.0, success=240, failure=0)
    assert Rollup.objects.count() == 13
    assert successes() == (240, 0, 0)
    column = queries.series("shop", "posts", NOW - 115, NOW, now=NOW)["counts"]["success"]
    assert set(column) <= {19, 20, 21}


def test_a_report_of_many_hours_goes_to_coarser_levels_at_once() -> None:
    absorb(NOW, interval_s=6 * 3600.0, success=720, failure=0)
    assert successes() == (0, 0, 720)
    absorb(NOW, interval_s=600.0, success=90, failure=0)
    assert successes() == (0, 90, 720)


@given(
    st.integers(0, 10_000),
    st.integers(11, 4000),
    st.dictionaries(st.sampled_from(["success", "failure", "slow"]), st.integers(0, 10_000)),
    st.dictionaries(st.integers(-20, 20), st.integers(1, 1000), max_size=9),
)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_parts_of_a_span_add_up_to_it(
    begin: int, length: int, counts: dict[str, int], buckets: dict[int, int]
) -> None:
    whole = Delta(counts=counts)
    whole.latencies.merge(buckets, 5.0)
    parts = list(spread(Span(begin, begin + length), 10, whole))
    assert all(start % 10 == 0 for start, _ in parts)
    for name, n in counts.items():
        assert sum(part.counts.get(name, 0) for _, part in parts) == n
    for index, n in buckets.items():
        assert sum(part.latencies.buckets.get(index, 0) for _, part in parts) == n
    assert sum(part.latencies.sum_s for _, part in parts) == pytest.approx(5.0)


# -- Cut off in between, and at once -------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


@contextmanager
def killed_after(statements: int) -> Iterator[None]:
    """Let so many merges of a roll-up through, and die in the next once it is done."""
    done = 0
    roll = upserts.roll

    def dying(*arguments: object) -> int:
        nonlocal done
        changed = roll(*arguments)  # type: ignore[arg-type]
        done += 1
        if done > statements:
            raise Killed
        return changed

    with patch.object(upserts, "roll", dying), pytest.raises(Killed):
        yield


@pytest.mark.django_db(transaction=True)
def test_a_crash_in_the_midst_of_a_roll_up_neither_loses_nor_repeats() -> None:
    for minute in range(0, 180, 3):
        absorb(NOW + minute * 60, success=1, failure=0)
    now = NOW + 5 * HOUR
    for survived in (0, 1, 2, 1, 0):
        with killed_after(survived):
            services.roll_up(now)
    services.roll_up(now)
    assert successes() == (60, 60, 60)


one_writer = pytest.mark.skipif(
    connection.vendor == "sqlite",
    reason="a shared database in memory refuses a second writer, where a file lets it wait",
)


def at_once(work: Callable[[int], None], threads: int) -> None:
    """Run `work(0)`, `work(1)` and so on in threads of their own; what one raises is raised."""

    def run(which: int) -> None:
        try:
            work(which)
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(run, which) for which in range(threads)]:
            done.result()


@one_writer
@pytest.mark.django_db(transaction=True)
def test_workers_that_roll_up_and_add_at_once_count_everything_once() -> None:
    for minute in range(120):
        absorb(NOW + minute * 60, success=1, failure=0)
    now = NOW + 4 * HOUR

    def work(which: int) -> None:
        if which % 2:
            services.roll_up(now)
        else:
            for minute in range(0, 120, 5):
                with transaction.atomic():
                    services.absorb(batch_of(NOW + minute * 60, success=1, failure=0), now)

    at_once(work, 4)
    services.roll_up(now)
    assert successes() == (168, 168, 168)


@one_writer
@pytest.mark.django_db(transaction=True)
def test_workers_that_need_the_same_new_partition_at_once_all_get_it() -> None:
    new = NOW + 300 * DAY

    def work(which: int) -> None:
        with transaction.atomic():
            services.absorb(batch_of(new, instance=str(which), success=1, failure=0), new)

    at_once(work, 8)
    assert successes()[0] == 8


# -- Retention ------------------------------------------------------------------------------------


def test_each_level_is_kept_for_its_time() -> None:
    absorb()
    services.roll_up(NOW + 3 * HOUR)
    for level, left in zip(LEVELS, [(0, 10, 10), (0, 0, 10), (0, 0, 0)], strict=True):
        assert services.prune(NOW + level.kept_s - HOUR) == 0
        services.roll_up(NOW + level.kept_s)
        # A partition goes when all of it is too old.
        assert services.prune(NOW + level.kept_s + level.partition_s + 2 * HOUR) == 1
        assert successes() == left


def test_what_was_not_rolled_up_stays_however_old() -> None:
    absorb()
    assert services.prune(NOW + 100 * DAY) == 0
    services.roll_up(NOW + 100 * DAY)
    assert services.prune(NOW + 100 * DAY) == 2
    assert successes() == (0, 0, 10)
    assert successes_between(NOW - HOUR, NOW + DAY, NOW + 100 * DAY) == 10


def test_partitions_are_there_before_they_are_needed() -> None:
    made = partitions.make_ahead(NOW)
    assert made == (12 if partitions.are_used() else 0)
    assert partitions.make_ahead(NOW) == 0
    if partitions.are_used():
        first, *_, last = partitions.of(LEVELS[0])
        assert first.begin <= NOW < first.end
        assert last.end >= NOW + 2 * LEVELS[0].partition_s


def test_an_empty_checkpoint_is_none() -> None:
    services.absorb(Batch(), NOW)
    assert successes() == (0, 0, 0)


POISON = 2**62


def poison(service: str, rows: int = 40) -> None:
    """Rows as they would be after thousands of reports that each claim 2**40 calls a thousand
    times."""
    packed = [-30, POISON, POISON]
    start = int(NOW) // 10 * 10
    for n in range(rows):
        Rollup.objects.create(
            service=service, breaker="p", start=start + n * 10, success=POISON, failure=POISON,
            sketch=packed, sum_s=1e300,
        )  # fmt: skip


def test_sums_of_poisoned_counts_stop_at_a_bound() -> None:
    partitions.ensure(LEVELS[0], [int(NOW), int(NOW) + 400])
    poison("hostile")
    for second in range(0, 400, 10):
        absorb(NOW + second, success=3, failure=0)
    services.roll_up(NOW + 7200)
    assert {row.success for row in MinuteRollup.objects.filter(service="hostile")} == {MOST}
    assert {max(row.sketch[1:]) for row in HourRollup.objects.filter(service="hostile")} == {MOST}
    honest = HourRollup.objects.filter(service="shop").values_list("success", flat=True)
    assert sum(honest) == 40 * 3, "to the last call"


def test_a_row_that_was_rolled_up_takes_more_poison_without_failing() -> None:
    partitions.ensure(LEVELS[0], [int(NOW), int(NOW) + 400])
    poison("hostile")
    services.roll_up(NOW + 7200)
    HourRollup.objects.filter(service="hostile").update(success=2**63 - 1)
    upserts.roll(LEVELS[1], LEVELS[2], int(NOW) // HOUR * HOUR, int(NOW) // HOUR * HOUR + 2 * HOUR)
    assert {row.success for row in HourRollup.objects.filter(service="hostile")} == {MOST}


def test_counts_of_one_checkpoint_stop_at_the_bound() -> None:
    absorb(NOW, success=2**60, failure=0)
    assert Rollup.objects.get().success == MOST


def test_a_service_whose_rows_are_refused_does_not_stop_the_others() -> None:
    for second in range(0, 400, 10):
        absorb(NOW + second, success=3, failure=0)
    partitions.ensure(LEVELS[0], [int(NOW), int(NOW) + 400])
    poison("hostile", rows=3)
    rolled = upserts.roll

    def refusing(lower: Any, upper: Any, begin: int, end: int, of: Any = None) -> int:
        if of is None or "hostile" in of:
            with connection.cursor() as cursor:
                bad = "'{'::json" if connection.vendor == "postgresql" else "sketch_add('{', '{')"
                cursor.execute(f"SELECT {bad}")
        return rolled(lower, upper, begin, end, of)

    with patch.object(upserts, "roll", refusing):
        services.roll_up(NOW + 7200)
    assert sum(HourRollup.objects.values_list("success", flat=True)) == 40 * 3
    assert {each.service for each in DeadLetter.objects.all()} == {"hostile"}


def test_a_database_that_fails_for_its_own_sake_is_tried_again_later() -> None:
    absorb(NOW, success=3, failure=0)
    with (
        patch.object(upserts, "roll", side_effect=OperationalError("database is locked")),
        pytest.raises(OperationalError),
    ):
        services.roll_up(NOW + 7200)
    assert not DeadLetter.objects.exists()
    services.roll_up(NOW + 7200)
    assert sum(HourRollup.objects.values_list("success", flat=True)) == 3
