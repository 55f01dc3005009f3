"""Outages in the database."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashboard.fleet.checkpoint_batch import Batch
from dashboard.fleet.outages import GONE_AFTER_S, OutageRow
from dashboard.history import queries, services
from dashboard.history.levels import TRANSITIONS
from dashboard.history.models import Outage

pytestmark = pytest.mark.django_db
NOW = 1_800_000_000.0


def row(id: str = "a", **more: object) -> OutageRow:
    made = OutageRow(
        id=id,
        service="shop",
        breaker="posts",
        began=NOW,
        cause="5 timeouts in a row",
        instance="one",
        instances=1,
        failed_tests=3,
        passed_tests=0,
        refused=40,
        ended=None,
        ended_as="",
        open_at={"one": NOW},
    )
    return replace(made, **more)  # type: ignore[arg-type]


def absorb(*rows: OutageRow) -> None:
    services.absorb(Batch(outages={(each.service, each.id): each for each in rows}), NOW)


def test_a_checkpoint_updates_the_row_of_an_outage() -> None:
    absorb(row())
    absorb(row(failed_tests=9, ended=NOW + 60, ended_as="recovered", open_at={}))
    stored = Outage.objects.get()
    assert (stored.failed_tests, stored.ended, stored.began) == (9, NOW + 60, NOW)


def test_a_range_has_the_outages_that_overlap_it() -> None:
    absorb(
        row("before", began=NOW - 600, ended=NOW - 500),
        row("into", began=NOW - 600, ended=NOW + 10),
        row("lasting", began=NOW + 20),
        row("after", began=NOW + 200),
        row("other", service="bank", began=NOW + 30),
    )
    found = queries.outages(NOW, NOW + 100, service="shop")
    assert [each.id for each in found] == ["lasting", "into"]
    assert {each.id for each in queries.open_outages()} == {"lasting", "after", "other"}


def test_a_worker_inherits_what_may_continue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)
    absorb(
        row("old", breaker="mail", began=NOW - 9000, ended=NOW - GONE_AFTER_S - 1),
        row("ended", breaker="users", began=NOW - 90, ended=NOW - 20, ended_as="overridden"),
        row("lasting", began=NOW - 50),
        row("elsewhere", service="bank"),
    )
    found = queries.resumable_outages({"shop"})
    assert {each.id for each in found} == {"ended", "lasting"}
    assert next(each for each in found if each.id == "lasting") == row("lasting", began=NOW - 50)


def test_old_outages_are_pruned_and_lasting_ones_kept() -> None:
    long_ago = NOW - TRANSITIONS.kept_s - 10
    absorb(row("old", began=long_ago - 60, ended=long_ago), row("lasting", began=long_ago))
    services.prune(NOW)
    assert [each.id for each in Outage.objects.all()] == ["lasting"]
