"""The timeline's events: read in order, told together, exported."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from dashboard.access.models import Person
from dashboard.access.services import audit
from dashboard.history import partitions
from dashboard.history.levels import TRANSITIONS
from dashboard.history.models import Outage, Transition
from dashboard.policies import services as policies
from dashboard.timeline.event_text import said
from dashboard.timeline.events import KINDS, TOGETHER_S, Event, Wanted, events, together
from dashboard.timeline.exports import as_csv, as_json, as_markdown
from tests import operator_actions

ABOUT: dict[str, Any] = {"from": "then", "to": "now", "filter": {"service": "", "breaker": ""}}


def transition(at: float, instance: str = "one", **more: Any) -> Transition:
    fields = {"service": "shop", "breaker": "posts", "before": "closed", "after": "open"} | more
    number = Transition.objects.count() + 1
    partitions.ensure(TRANSITIONS, [at])
    return Transition.objects.create(
        at=at,
        instance=instance,
        boot="b",
        number=number,
        key=number,
        cause="5 failures in a row",
        **fields,
    )


def event(at: float, instance: str = "one", **more: Any) -> Event:
    fields = {"breaker": "posts", "before": "closed", "after": "open", "title": ""} | more
    return Event(
        id=f"t{at}{instance}", at=at, kind="transition", service="shop",
        instances=[instance], count=1, until=at, **fields,
    )  # fmt: skip


def everything(**more: Any) -> Wanted:
    return Wanted(**{"since": 0.0, "until": 1e10} | more)


@pytest.mark.django_db
def test_transitions_and_acts_are_on_one_axis(operator: Person) -> None:
    operator_actions.force(operator, "shop", "posts", "forced_open", "INC-1", 600)
    policies.save(operator, "shop", "posts", {"timeout": 0.4}, "too slow")
    operator_actions.lift(operator, "shop", "posts", "over")
    transition(timezone.now().timestamp() + 1)
    found = list(events(everything(), oldest_first=True))
    assert [each.kind for each in found] == ["override", "policy", "override", "transition"]
    assert [said(each) for each in found] == [
        "Forced open",
        "Policy: timeout inherited → 0.4",
        "Back to automatic",
        "Closed → Open on one",
    ]
    assert [each.who for each in found] == ["operator"] * 3 + [""]
    assert list(reversed([each.id for each in found])) == [each.id for each in events(everything())]


@pytest.mark.django_db
def test_every_filter_leaves_out_the_rest(operator: Person) -> None:
    transition(10.0)
    transition(20.0, breaker="social")
    transition(30.0, service="web")
    operator_actions.force(operator, "shop", "posts", "forced_open", "INC-1", 600)
    audit(None, "token created", service="web")

    def ids(**more: Any) -> int:
        return len(list(events(everything(**more))))

    assert ids() == 5
    assert ids(service="shop") == 3
    assert ids(service="shop", breaker="posts") == 2
    assert ids(kinds=frozenset({"transition"})) == 3
    assert ids(kinds=frozenset({"override"})) == 1
    assert ids(who="operator") == 1
    assert ids(since=15.0, until=30.0) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("oldest_first", [True, False])
def test_a_long_range_is_read_a_page_at_a_time_without_loss(
    oldest_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Many at the very same moment, across the pages' bounds.
    partitions.ensure(TRANSITIONS, [0.0])
    Transition.objects.bulk_create(
        Transition(
            service="shop", breaker="posts", instance=f"i{n}", boot="b", number=n, key=n,
            at=float(n // 700), before="closed", after="open",
        )
        for n in range(2500)
    )  # fmt: skip
    found = list(events(everything(), oldest_first=oldest_first))
    assert len({each.id for each in found}) == len(found) == 2500
    times = [each.at for each in found]
    assert times == sorted(times, reverse=not oldest_first)


@pytest.mark.parametrize("order", [1, -1])
def test_instances_that_change_alike_are_told_together(order: int) -> None:
    found = [event(100.0, "a"), event(101.0, "b"), event(101.5, "c", breaker="x"), event(105, "c")]
    lines = list(together(found[::order]))
    assert {said(line) for line in lines} == {"Closed → Open on 3 instances", "Closed → Open on c"}


def test_one_that_comes_later_is_another_line() -> None:
    lines = list(together([event(100.0, "a"), event(100.1 + TOGETHER_S, "b")]))
    assert [line.count for line in lines] == [1, 1]


def test_a_thousand_instances_name_twenty() -> None:
    (line,) = together([event(100.0, f"i{n}") for n in range(1000)])
    assert line.count == 1000
    assert len(line.instances) == 20


_moments = st.lists(
    st.tuples(st.floats(0, 120), st.sampled_from("abc"), st.sampled_from(["posts", "social"])),
    max_size=60,
)


@given(_moments, st.booleans())
def test_nothing_is_lost_in_telling_it_together(
    moments: list[tuple[float, str, str]], oldest_first: bool
) -> None:
    found = [event(at, instance, breaker=name) for at, instance, name in moments]
    found.sort(key=lambda each: each.at, reverse=not oldest_first)
    expected = {(each.breaker, each.instances[0]) for each in found}
    lines = list(together(found))
    assert {(each.breaker, name) for each in lines for name in each.instances} == expected
    times = [each.at for each in lines]
    assert times == sorted(times, reverse=not oldest_first)
    assert all(abs(each.at - each.until) <= TOGETHER_S for each in lines)


HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "|<b>&[x](y)\n`z`*", 'ünïcode ☂, "x"']


def hostile() -> list[Event]:
    return [event(100.0 * n, breaker=text, why=text) for n, text in enumerate(HOSTILE)]


def test_json_is_one_document() -> None:
    document = json.loads("".join(as_json(hostile(), ABOUT)))
    assert [each["why"] for each in document["events"]] == HOSTILE
    assert document["count"] == len(HOSTILE)
    assert document["cut"] is None
    assert document["events"][0]["at"] == "1970-01-01T00:00:00.000Z"
    assert json.loads("".join(as_json([], ABOUT)))["events"] == []


def test_no_cell_of_the_csv_is_a_formula() -> None:
    rows = list(csv.reader(io.StringIO("".join(as_csv(hostile(), ABOUT)))))
    assert len(rows) == len(HOSTILE) + 1
    for row in rows:
        assert len(row) == len(rows[0])
        assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in row)
    whys = [row[rows[0].index("why")].removeprefix("'") for row in rows[1:]]
    assert whys == HOSTILE


def test_names_are_text_in_markdown() -> None:
    text = "".join(as_markdown(hostile(), ABOUT))
    lines = [line for line in text.splitlines() if line.startswith("| 19")]
    assert len(lines) == len(HOSTILE)
    for line in lines:
        assert line.replace("\\|", "").count("|") == 6
        assert "<b>" not in line.replace("\\<", "")
    assert "Nothing happened" in "".join(as_markdown([], ABOUT))


@pytest.mark.parametrize("export", [as_json, as_csv, as_markdown])
def test_what_is_cut_off_is_said_with_the_moment_to_go_on_from(export: Any) -> None:
    found = [event(1000.0 * n) for n in range(5)]
    text = "".join(export(found, ABOUT, 3))
    moment = datetime.fromtimestamp(3000, UTC).strftime("%H:%M:%S")
    assert "Cut after 3 events" in text
    assert moment in text
    assert "Cut after" not in "".join(export(found, ABOUT, 5))


def test_every_kind_has_a_word() -> None:
    assert set(KINDS) == {"outage", "transition", "override", "policy", "access", "marker"}


def outage(began: float, ended: float | None, **more: Any) -> Outage:
    fields = {
        "id": f"o{began}",
        "service": "shop",
        "breaker": "posts",
        "cause": "5 timeouts in a row",
        "instance": "one",
        "instances": 1,
        "failed_tests": 60,
        "refused": 2400,
        "ended_as": "" if ended is None else "recovered",
    }
    return Outage.objects.create(began=began, ended=ended, **{**fields, **more})


@pytest.mark.django_db
def test_an_outage_of_ten_minutes_with_a_probe_each_ten_seconds_is_one_event() -> None:
    outage(100.0, 700.0)
    transition(100.0, after="open")
    for n in range(1, 60):
        transition(100.0 + 10 * n, after="half_open")
        transition(101.0 + 10 * n, after="open")
    transition(700.2, after="closed")
    transition(800.0, after="forced_open")
    found = list(events(everything(), oldest_first=True))
    assert [each.kind for each in found] == ["outage", "transition"]
    assert said(found[0]) == "Open for 10 min, 60 test calls failed, 2,400 calls refused"
    assert found[0].why == "5 timeouts in a row"


@pytest.mark.django_db
def test_transitions_of_an_outage_are_there_for_whoever_asks_for_them() -> None:
    outage(100.0, None)
    transition(100.0, after="open")
    transition(110.0, after="half_open")
    only = everything(kinds=frozenset({"transition"}))
    assert len(list(events(only))) == 2
    both = events(everything(), folds=False)
    assert sorted(each.kind for each in both) == ["outage", "transition", "transition"]


@pytest.mark.django_db
def test_an_outage_that_began_before_the_range_is_in_it() -> None:
    outage(100.0, 700.0)
    outage(10.0, 20.0)
    found = list(events(everything(since=500.0, until=900.0)))
    assert [each.id for each in found] == ["oo100.0"]
