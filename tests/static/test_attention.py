"""The wall's default order: what needs attention by harm, healthy services in a line each."""

from __future__ import annotations

from typing import Any

from tests.e2e import large_fleet
from tests.static import node
from tests.static.views import view

SCRIPT = """
import { arranged, byName } from "./static/js/order.js";
const [views, space, sort, grouping] = JSON.parse(process.argv[1]);
const entries = views.map((view) => ({
  key: `${view.service}/${view.name}`, view, service: view.service, name: view.name, text: "",
})).sort(byName);
const open = new Set(space.open);
const groups = arranged(entries, sort ?? "worst", grouping ?? "attention", { ...space, open });
console.log(JSON.stringify(groups.map((g) => ({
  title: g.title, note: g.note ?? "", kind: g.kind ?? "", heading: g.heading,
  collapsed: g.collapsed, keys: g.entries.map((e) => e.key),
}))));
"""


def groups(views: list[Any], lines: int = 12, opened: tuple[str, ...] = ()) -> list[Any]:
    found: list[Any] = node.run(
        SCRIPT, [views, {"open": list(opened), "lines": lines, "now": 100.0}]
    )
    return found


def incident() -> list[Any]:
    """250 breakers while the database is down."""
    return [
        view("open", spot.service, spot.name, ran=0, refused=spot.rate * 10)
        if large_fleet.is_hit(spot)
        else view("closed", spot.service, spot.name, ran=spot.rate * 10)
        for spot in large_fleet.spots()
    ]


def test_breakers_are_ranked_by_the_calls_that_are_lost() -> None:
    found = groups(
        [
            view("half_open", name="quiet", ran=1),
            view("open", name="some", ran=0, refused=50),
            view(name="fine"),
            view(name="much", ran=1000, failed=900),
        ]
    )
    assert [each["title"] for each in found if each["heading"]] == ["Needs attention", "shop"]
    assert found[1]["keys"] == ["shop/much", "shop/some", "shop/quiet"]


def test_a_dependency_that_fails_many_services_is_one_line() -> None:
    found = groups(incident())
    fold = next(each for each in found if each["kind"] == "dependency")
    assert fold["title"] == "postgres"
    assert fold["note"].startswith("open in 18 of 19 services · ")
    assert len(fold["keys"]) == 18
    assert fold["collapsed"]
    assert not next(
        each
        for each in groups(incident(), opened=("dependency postgres",))
        if each["kind"] == "dependency"
    )["collapsed"]


def test_healthy_services_of_a_large_fleet_are_a_line_each() -> None:
    healthy = [each for each in groups(incident()) if each["kind"] == "healthy"]
    assert len(healthy) == len(large_fleet.SERVICES)
    assert all(each["collapsed"] for each in healthy)
    small = groups([view(), view("open", name="users", ran=0)])
    assert [each["collapsed"] for each in small] == [False, False, False]


def test_every_open_breaker_is_on_the_first_screen_or_in_a_fold_on_it() -> None:
    views = [view("open", f"s{n}", f"d{n}", ran=0, refused=n) for n in range(80)]
    found = groups(views, lines=10)
    bad = [each for each in found if each["kind"] != "healthy"]
    rows = sum(len(each["keys"]) if not each["heading"] else 1 for each in bad) - 1
    assert rows <= 10
    assert sum(len(each["keys"]) for each in bad) == 80
    rest = bad[-1]
    assert (rest["kind"], rest["title"]) == ("rest", "71 more breakers")
    assert rest["note"].startswith("71 open")


def test_a_healthy_fleet_has_nothing_that_needs_attention() -> None:
    assert [each["kind"] for each in groups([view(), view(name="users")])] == ["healthy"]


def test_a_half_open_breaker_that_nobody_calls_needs_no_attention() -> None:
    waiting = view("half_open", ran=0, idle_half_open=True)
    assert [each["kind"] for each in groups([waiting, view(name="users")])] == ["healthy"]


def test_by_dependency_each_is_one_line_with_its_callers_beneath() -> None:
    found: list[Any] = node.run(
        SCRIPT, [incident(), {"open": [], "lines": 12, "now": 100.0}, "worst", "dependency"]
    )
    postgres = found[0]
    assert postgres["title"] == "postgres"
    assert postgres["note"].startswith("open in 18 of 19 services · ")
    assert postgres["note"].endswith(" calls/s")
    assert len(postgres["keys"]) == 19, "all callers, not only those in trouble"
    assert postgres["collapsed"]
    redis = next(each for each in found if each["title"] == "redis")
    assert redis["note"].startswith("closed in ")
    assert sum(len(each["keys"]) for each in found) == 250
