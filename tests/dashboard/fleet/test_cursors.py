"""One row a life, written at each checkpoint, whatever the database."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from dashboard.fleet.cursors import cursors_of, gaps_of, keep_cursors
from dashboard.fleet.models import Cursor

pytestmark = pytest.mark.django_db
ONE, TWO = ("shop", "one", "b"), ("shop", "two", "b")


def test_the_last_number_of_each_life_is_kept() -> None:
    keep_cursors({ONE: 5, TWO: 1, ("bank", "one", "b"): 9}, {})
    keep_cursors({ONE: 6}, {})
    assert cursors_of(["shop"]) == {ONE: 6, TWO: 1}
    assert cursors_of(["bank", "nobody"]) == {("bank", "one", "b"): 9}


def test_what_is_missing_below_is_kept_and_closed() -> None:
    keep_cursors({ONE: 9, TWO: 4}, {ONE: ((3, 4), (7, 7))})
    assert gaps_of(["shop"]) == {ONE: ((3, 4), (7, 7))}
    keep_cursors({ONE: 9}, {ONE: ((3, 3),)})
    assert gaps_of(["shop"]) == {ONE: ((3, 3),)}
    keep_cursors({ONE: 9}, {ONE: ()})
    assert gaps_of(["shop"]) == {}


def test_a_row_says_when_it_was_written_last() -> None:
    keep_cursors({ONE: 1}, {})
    before = Cursor.objects.get().at
    keep_cursors({ONE: 2}, {})
    assert Cursor.objects.get().at > before


def test_names_are_kept_as_they_are() -> None:
    odd = ('o\'shop, {"a"}', "NULL", "\\b {1,2} é")
    keep_cursors({odd: 2**53}, {odd: ((1, 2**53 - 1),)})
    assert cursors_of([odd[0]]) == {odd: 2**53}
    assert gaps_of([odd[0]]) == {odd: ((1, 2**53 - 1),)}


def test_nothing_to_keep_is_nothing_to_do() -> None:
    keep_cursors({}, {})
    assert not Cursor.objects.exists()


def test_it_is_undone_with_its_transaction() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        keep_cursors({ONE: 1}, {})
        raise ZeroDivisionError
    assert cursors_of(["shop"]) == {}


def test_pages_have_room_for_the_next_version_of_a_row() -> None:
    if connection.vendor != "postgresql":
        return  # nothing to set
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE relname = %s", ["fleet_cursor"])
        assert cursor.fetchone() == (["fillfactor=40"],)
