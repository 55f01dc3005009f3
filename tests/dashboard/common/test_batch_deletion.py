"""What is long gone is cleared away, a little at a time, and nothing else; as often as you like."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone
from django.utils.module_loading import import_string

from dashboard.access.people import keep_person
from dashboard.common.batch_deletion import sweep
from dashboard.control import services as control
from dashboard.control.models import Ack, Override
from dashboard.fleet import services as fleet
from dashboard.fleet.cursors import gaps_of
from dashboard.fleet.models import Cursor, DeadLetter
from dashboard.policies import services as policies
from dashboard.policies.models import BreakerPolicy

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def ago(days: float) -> Any:
    return timezone.now() - days * DAY


def cursor(instance: str, days: float) -> Cursor:
    made: Cursor = Cursor.objects.create(
        service="shop", instance=instance, boot="b", seq=9, gaps=[[3, 4]], at=ago(days)
    )
    return made


def letter(days: float) -> None:
    made = DeadLetter.objects.create(service=f"{days}", body="{}", error="too large")
    DeadLetter.objects.filter(pk=made.pk).update(at=ago(days))


def answered(name: str, ended: float | None) -> None:
    """An override that an instance answered, and that ended so many days ago or stands."""
    override = Override.objects.create(
        id=name,
        service="shop",
        breaker=name,
        state="forced_open",
        reason="a drill",
        by="ops",
        revision=1,
        expires=timezone.now() + DAY,
        ended=None if ended is None else ago(ended),
    )
    Ack.objects.create(override=override, instance="one", status="applied")


def declared(breaker: str, days: float) -> None:
    policies.note_declared({"shop": {breaker: {"retries": 2}}})
    BreakerPolicy.objects.filter(breaker=breaker).update(heard=ago(days))


def names(rows: Any, field: str) -> list[str]:
    return sorted(rows.objects.values_list(field, flat=True))


class TestWhatGoes:
    def test_lives_that_have_been_silent_for_a_week(self) -> None:
        cursor("gone", 7.1)
        cursor("away", 6.9)
        assert fleet.forget_old_incarnations() == 1
        assert names(Cursor, "instance") == ["away"]
        assert gaps_of(["shop"]) == {("shop", "away", "b"): ((3, 4),)}

    def test_what_was_put_aside_a_month_ago(self) -> None:
        letter(30.1)
        letter(29.9)
        assert fleet.forget_old_letters() == 1
        assert names(DeadLetter, "service") == ["29.9"]

    def test_answers_to_overrides_of_long_ago_but_not_the_overrides(self) -> None:
        answered("of long ago", 90.1)
        answered("of late", 89.9)
        answered("standing", None)
        assert control.forget_old_acks() == 1
        assert names(Ack, "override") == ["of late", "standing"]
        assert len(names(Override, "id")) == 3

    def test_what_code_declared_that_nobody_reports_and_nobody_set(self) -> None:
        declared("gone", 30.1)
        declared("quiet", 29.9)
        declared("set here", 300)
        policies.save(keep_person("ada", "admin"), "shop", "set here", {"retries": 5})
        declared("told again", 300)
        policies.note_declared({"shop": {"told again": {"retries": 3}}})
        declared("still reported", 300)
        policies.note_reported("shop", ["still reported", "never declared"])
        assert policies.forget_undeclared() == 1
        assert names(BreakerPolicy, "breaker") == [
            "quiet",
            "set here",
            "still reported",
            "told again",
        ]

    def test_a_breaker_that_is_there_is_written_down_once_a_day(self) -> None:
        declared("posts", 0.5)
        before = BreakerPolicy.objects.get().heard
        policies.note_reported("shop", ["posts"])
        assert BreakerPolicy.objects.get().heard == before

    def test_sessions_that_are_over(self) -> None:
        for days in (-1, 1):
            Session.objects.create(
                session_key=f"{days}", session_data="", expire_date=timezone.now() + days * DAY
            )
        import_string("dashboard.access.tasks.sweep_sessions")()
        assert names(Session, "session_key") == ["1"]


@pytest.mark.parametrize(
    "forget",
    [
        fleet.forget_old_incarnations,
        fleet.forget_old_letters,
        control.forget_old_acks,
        policies.forget_undeclared,
    ],
)
def test_a_second_time_finds_nothing(forget: Callable[[], int]) -> None:
    cursor("gone", 400)
    letter(400)
    answered("gone", 400)
    declared("gone", 400)
    assert forget() == 1
    assert forget() == 0


class TestALittleAtATime:
    def test_a_run_has_a_bound_and_the_next_goes_on(self) -> None:
        for n in range(10):
            cursor(f"i{n}", 8)
        rows = Cursor.objects.filter(at__lt=ago(7))
        assert [sweep(rows, at_once=3, a_run=6) for _ in range(3)] == [6, 4, 0]

    def test_what_is_touched_meanwhile_stays(self) -> None:
        back = cursor("back", 8)
        cursor("gone", 8)

        def touch(execute: Any, sql: str, *rest: Any) -> Any:
            found = execute(sql, *rest)
            if sql.startswith("SELECT"):
                Cursor.objects.filter(pk=back.pk).update(at=timezone.now())
            return found

        with connection.execute_wrapper(touch):
            assert fleet.forget_old_incarnations() == 1
        assert names(Cursor, "instance") == ["back"]
