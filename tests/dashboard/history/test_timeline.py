"""What changed state, when and why: pages of transitions, and the strips of instances."""

from __future__ import annotations

import time

import pytest

from breakers.protocol import messages as wire
from dashboard.history import queries
from tests.dashboard.history.reports import NOW, absorb

pytestmark = pytest.mark.django_db


def change(number: int, ago_s: float, before: str, after: str, **fields: object) -> None:
    counters = wire.Transition(number, ago_s, before, after, f"because {number}")  # type: ignore[arg-type]
    absorb(transitions=[counters], **fields)


def test_pages_neither_repeat_nor_leave_out_what_comes_in_meanwhile() -> None:
    for number in range(7):
        change(number, 10.0 if number < 4 else 5.0, "closed", "open")
    seen: list[str] = []
    after = ""
    while True:
        page = queries.timeline(after=after, limit=3)
        seen += [each["cause"] for each in page["transitions"]]
        change(100 + len(seen), 0.0, "closed", "open")
        if page["next"] is None:
            break
        after = page["next"]
    assert seen == [f"because {number}" for number in (6, 5, 4, 3, 2, 1, 0)]


def test_a_timeline_is_narrowed_by_service_breaker_instance_state_and_time() -> None:
    change(1, 30.0, "closed", "open")
    change(2, 20.0, "open", "half_open")
    change(3, 10.0, "closed", "open", breaker="users")
    change(4, 5.0, "closed", "forced_open", service="web", instance="two")

    def causes(**wanted: object) -> list[str]:
        found = queries.timeline(**wanted)  # type: ignore[arg-type]
        return [each["cause"].removeprefix("because ") for each in found["transitions"]]

    assert causes() == ["4", "3", "2", "1"]
    assert causes(service="shop") == ["3", "2", "1"]
    assert causes(service="shop", breaker="posts") == ["2", "1"]
    assert causes(states=["open", "forced_open"]) == ["4", "3", "1"]
    assert causes(instance="two") == ["4"]
    assert causes(from_=NOW - 25, to=NOW - 10) == ["2"]


@pytest.mark.parametrize("cursor", ["x", "1_2", "nan_1_1", "1_1_9223372036854775808", "1_1_1_1"])
def test_a_cursor_of_somebody_else_is_refused(cursor: str) -> None:
    with pytest.raises(queries.BadCursor, match="no cursor of ours"):
        queries.timeline(after=cursor)


def test_a_strip_lies_end_to_end_and_begins_with_what_was_before() -> None:
    change(1, 30.0, "closed", "open")
    change(2, 20.0, "open", "half_open")
    strip = queries.strips("shop", "posts", NOW - 60, NOW)["one"]
    assert [(each["from"] - NOW, each["to"] - NOW, each["state"]) for each in strip] == [
        (-60.0, -30.0, "closed"),
        (-30.0, -20.0, "open"),
        (-20.0, 0.0, "half_open"),
    ]
    assert [each["cause"] for each in strip] == ["", "because 1", "because 2"]
    assert queries.states("shop", "posts", NOW - 60)["one"][0] == {
        "at": NOW - 60,
        "state": "closed",
    }


def test_an_instance_that_changed_before_the_range_is_in_what_it_changed_to() -> None:
    change(1, 600.0, "closed", "half_open")
    change(2, 500.0, "half_open", "open")
    change(1, 400.0, "closed", "forced_open", instance="two")
    strips = queries.strips("shop", "posts", NOW - 60, NOW)
    assert {name: [each["state"] for each in strip] for name, strip in strips.items()} == {
        "one": ["open"],
        "two": ["forced_open"],
    }


def test_the_last_transition_of_each_breaker_is_the_latest_of_all_instances() -> None:
    now = time.time()
    change(7, 30.0, "closed", "open", at=now)
    change(8, 30.0, "open", "half_open", at=now)
    change(1, 40.0, "open", "closed", at=now, instance="two")
    change(1, 5.0, "closed", "open", at=now, breaker="users")
    last = queries.last_transitions()
    assert {key[1]: each["after"] for key, each in last.items()} == {
        "posts": "half_open",
        "users": "open",
    }
