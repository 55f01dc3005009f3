"""The state of the fleet in one line, in real Node."""

from __future__ import annotations

from typing import Any

import pytest

from tests.static import node
from tests.static.views import view

SCRIPT = """
import { headline } from "./static/js/headline.js";
const { text, worst } = headline(JSON.parse(process.argv[1]), 1);
console.log(JSON.stringify([text, worst]));
"""
FAILING = {"ran": 100, "failed": 45}


@pytest.mark.parametrize(
    ("views", "line", "worst"),
    [
        ([view(), view()], "All 2 breakers closed, 20.0 calls/s", "closed"),
        ([view(), view(**FAILING)], "1 failing, 4.5 calls/s lost", "failing"),
        (
            [view(), view(ran=100, failed=1)],
            "All 2 breakers closed, 20.0 calls/s, 0.1 lost",
            "closed",
        ),
        ([view(ran=12, failed=4)], "0.4 calls/s lost", "failing"),
        ([view("open", ran=0, refused=100), view()], "1 open, 10.0 calls/s lost", "open"),
        (
            [view("stale", ran=0), view("open", ran=0, refused=100), view()],
            "1 of 3 unknown, 1 open, 10.0 calls/s lost",
            "open",
        ),
        ([view("stale", ran=0)], "Nothing is heard of the one breaker, 0.0 calls/s", "stale"),
        ([view("half_open")], "1 testing, 10.0 calls/s", "half_open"),
        (
            [view("half_open", ran=0, idle_half_open=True), view()],
            "1 of 2 breakers closed, 1 half-open without calls, 10.0 calls/s",
            "closed",
        ),
        (
            [view("half_open", ran=0, idle_half_open=True), view("open", ran=0)],
            "1 open, 1 half-open without calls, 0.0 calls/s",
            "open",
        ),
        ([view("forced_closed")], "1 forced closed, 10.0 calls/s", "forced_closed"),
        (
            [view("forced_closed", **FAILING), view("open", ran=0)],
            "1 failing while forced to pass calls, 1 open, 4.5 calls/s lost",
            "unprotected",
        ),
        ([], "Waiting for the first report", "stale"),
    ],
)
def test_the_worst_comes_first_and_the_unknown_before_the_known(
    views: list[Any], line: str, worst: str
) -> None:
    assert node.run(SCRIPT, views) == [line, worst]


def test_a_call_that_fails_down_a_chain_is_lost_once() -> None:
    chain = [
        view("open", service="web", name="api", ran=0, refused=100),
        view("open", service="api", name="posts", ran=0, refused=100),
        view(service="posts", name="postgres", ran=100, failed=100),
    ]
    assert node.run(SCRIPT, chain)[0] == "2 open, 1 failing, 10.0 calls/s lost"


def test_what_a_fallback_hides_from_callers_still_counts() -> None:
    views = [
        view(service="web", name="api", ran=100, failed=0),
        view("open", service="api", name="posts", ran=0, refused=50),
    ]
    assert node.run(SCRIPT, views)[0] == "1 open, 5.0 calls/s lost"
