"""What a dashboard knew before there were levels is taken over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from dashboard.history import queries
from dashboard.history.models import Rollup, Transition
from tests.dashboard.history.reports import NOW

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE, AFTER = ("history", "0001_initial"), ("history", "0002_levels")


@pytest.fixture
def old() -> Iterator[Any]:
    """The apps as they were before."""
    MigrationExecutor(connection).migrate([BEFORE])
    yield MigrationExecutor(connection).loader.project_state([BEFORE]).apps
    MigrationExecutor(connection).migrate([AFTER])


def test_rollups_and_transitions_are_taken_over(old: Any) -> None:
    start = int(NOW) // 10 * 10
    old.get_model("history", "Rollup").objects.create(
        service="shop", breaker="posts", start=start, success=7, buckets={"-30": 7}, sum_s=0.5
    )
    old.get_model("history", "Transition").objects.create(
        service="shop",
        breaker="posts",
        instance="one",
        boot="b",
        number=3,
        at=NOW,
        before="closed",
        after="open",
        cause="5 in a row",
        window={"calls": 9},
    )
    MigrationExecutor(connection).migrate([AFTER])
    row = Rollup.objects.get()
    assert (row.success, row.sketch, row.sum_s) == (7, [-30, 7], 0.5)
    assert Transition.objects.get().window == {"calls": 9}
    assert queries.transitions("shop", "posts")[0].cause == "5 in a row"
