"""How services are, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from dashboard.fleet import status_levels
from dashboard.fleet.dependents import Declaration

NOW = 100_000.0


@dataclass
class Change:
    at: float
    before: str
    instance: str = "one"
    service: str = "shop"
    breaker: str = "posts"


def breaker(state: str, service: str = "shop", name: str = "posts", **more: Any) -> dict[str, Any]:
    one = {"id": "one", "state": state, "since_at": NOW - 700}
    return {"service": service, "name": name, "state": state, "instances": [one], **more}


def service(*states: str, stale: bool = False) -> dict[str, Any]:
    breakers = [breaker(state, name=f"b{n}") for n, state in enumerate(states)]
    return {"name": "shop", "instances": [{"stale": stale}], "breakers": breakers}


@pytest.mark.parametrize(
    ("states", "level"),
    [
        (["closed", "closed"], "working"),
        (["closed", "open"], "limited"),
        (["forced_open"], "limited"),
        (["closed", "half_open"], "recovering"),
        (["half_open", "open"], "limited"),
        (["metrics_only", "forced_closed"], "working"),
        ([], "working"),
    ],
)
def test_a_service_is_as_its_breakers_say(states: list[str], level: str) -> None:
    assert status_levels.level(service(*states), []) == level


def test_status_by_hearsay_needs_a_quorum() -> None:
    """One service that reports a breaker named `shop` as open does not disrupt shop."""
    web, app = breaker("open", "web", "shop"), breaker("open", "app", "shop")
    well = [breaker("closed", name, "shop") for name in ("a", "b", "c")]
    assert status_levels.level(service("closed"), [web]) == "working"
    assert status_levels.level(service("closed"), [web, web]) == "working"
    assert status_levels.level(service("closed"), [web, app]) == "disrupted"
    assert status_levels.level(service("closed"), [web, app, *well]) == "working"


def test_status_by_hearsay_is_what_declared_dependents_say() -> None:
    """Only they count, with the quorum that is declared."""
    web, app, other = (breaker("open", name, "shop") for name in ("web", "app", "other"))
    one = Declaration(("web", "app"), 1)
    both = Declaration(("web", "app"), 2)
    assert status_levels.level(service("closed"), [other, other], both) == "working"
    assert status_levels.level(service("open"), [other], both) == "limited"
    assert status_levels.level(service("closed"), [web], one) == "disrupted"
    assert status_levels.level(service("closed"), [web, other], both) == "working"
    assert status_levels.level(service("closed"), [web, app], both) == "disrupted"
    well = [breaker("closed", name, "shop") for name in "abc"]
    assert status_levels.level(service("closed"), [web, app, *well], both) == "disrupted"
    again = [breaker("half_open", "web", "shop")]
    assert status_levels.level(service("closed"), again, one) == "recovering"


def test_what_one_caller_says_counts_where_the_service_is_in_trouble_itself() -> None:
    assert status_levels.level(service("open"), [breaker("open", "web", "shop")]) == "disrupted"
    assert status_levels.level(service("half_open"), [breaker("open", "w", "shop")]) == "disrupted"


def test_callers_that_test_again_make_it_recovering_with_a_quorum() -> None:
    callers = [breaker("half_open", name, "shop") for name in ("web", "app")]
    assert status_levels.level(service("closed"), callers) == "recovering"
    assert status_levels.level(service("closed"), callers[:1]) == "working"


def test_a_breaker_that_is_half_open_because_nobody_calls_is_calm() -> None:
    idle = breaker("half_open", "shop", "mail") | {"idle_half_open": True}
    quiet = service("closed")
    quiet["breakers"] = [idle]
    assert status_levels.level(quiet, []) == "working"


def test_who_reports_nothing_is_silent_whatever_was_said_last() -> None:
    assert status_levels.level(service("open", stale=True), []) == "silent"
    assert status_levels.level({"name": "shop", "instances": [], "breakers": []}, []) == "silent"


def test_trouble_began_when_the_first_instance_left_closed() -> None:
    changes = [Change(NOW - 30, "half_open"), Change(NOW - 35, "open"), Change(NOW - 60, "closed")]
    assert status_levels.bad_since([breaker("open")], changes, NOW) == NOW - 60


def test_a_moment_without_trouble_does_not_end_it() -> None:
    changes = [
        Change(NOW - 10, "closed"),
        Change(NOW - 40, "half_open"),
        Change(NOW - 300, "closed"),
    ]
    assert status_levels.bad_since([breaker("open")], changes, NOW) == NOW - 300


def test_what_was_over_for_longer_is_another_trouble() -> None:
    changes = [
        Change(NOW - 10, "closed"),
        Change(NOW - 10 - status_levels.CALM_S, "half_open"),
        Change(NOW - 300, "closed"),
    ]
    assert status_levels.bad_since([breaker("open")], changes, NOW) == NOW - 10


def test_two_breakers_in_turn_are_one_trouble() -> None:
    views = [breaker("closed", name="posts"), breaker("open", name="social")]
    changes = [
        Change(NOW - 50, "half_open"),
        Change(NOW - 100, "closed", breaker="social"),
        Change(NOW - 400, "closed"),
    ]
    assert status_levels.bad_since(views, changes, NOW) == NOW - 400


def test_what_history_does_not_know_says_itself_since_when() -> None:
    assert status_levels.bad_since([breaker("open")], [], NOW) == NOW - 700


def test_where_the_beginning_lies_too_far_back_nothing_is_claimed() -> None:
    assert status_levels.bad_since([breaker("open")], [Change(NOW - 5, "half_open")], NOW) is None


def test_what_works_tells_when_it_came_back() -> None:
    back = {"at": NOW - 5, "before": "half_open", "after": "closed"}
    lifted = {"at": NOW - 1, "before": "metrics_only", "after": "closed"}
    views = [breaker("closed", last=back), breaker("closed", last=lifted)]
    assert status_levels.calm_since(views) == NOW - 5
    assert status_levels.calm_since([breaker("closed", last=None)]) is None


@pytest.mark.parametrize(
    ("levels", "line"),
    [
        ([], "There is nothing to show yet"),
        (["working", "working"], "All services are working"),
        (["working", "limited"], "Some services are limited"),
        (["limited", "disrupted", "working"], "Some services are disrupted"),
        (["disrupted"], "All services are disrupted"),
    ],
)
def test_the_headline_is_the_worst(levels: list[str], line: str) -> None:
    services = [status_levels.status_of(str(n), level, None) for n, level in enumerate(levels)]
    assert status_levels.headline(services)[1] == line


def test_the_worst_comes_first() -> None:
    services = [
        status_levels.status_of(name, level, None)
        for name, level in (("b", "working"), ("a", "working"), ("c", "limited"))
    ]
    assert [each["name"] for each in sorted(services, key=status_levels.order)] == ["c", "a", "b"]
