"""Failed and refused are different figures; an outage is told from its beginning."""

from __future__ import annotations

from typing import Any

import pytest

from tests.static import node
from tests.static.views import view

SCRIPT = """
import * as words from "./static/js/outage.js";
import { condition, needsAttention } from "./static/js/condition.js";
import { setZone } from "./static/js/times.js";
setZone("UTC", "en");
const [view, now] = JSON.parse(process.argv[1]);
const { outage } = view;
console.log(JSON.stringify({
  failed: words.failedWords(view),
  refused: words.refusedWords(view),
  onlyTestCalls: words.onlyTestCalls(view),
  condition: condition(view),
  needsAttention: needsAttention(view),
  failingFor: outage && words.failingFor(outage, now),
  cause: outage && words.outageCause(outage),
}));
"""
BEGAN = 1_800_000_000 - 1_800_000_000 % 86_400 + 16 * 3600 + 43 * 60  # 16:43 UTC
OUTAGE = {
    "id": "o",
    "began": BEGAN,
    "cause": "5 timeouts in a row",
    "instance": "one",
    "instances": 4,
    "failed_tests": 27,
    "passed_tests": 0,
    "refused": 900,
}


def said(view: Any, now: float = BEGAN) -> Any:
    return node.run(SCRIPT, [view, now])


def test_an_open_breaker_refuses_and_says_nothing_of_the_dependency() -> None:
    words = said(view("open", ran=0, refused=410))
    assert (words["failed"], words["refused"]) == ("–", "41.0/s")


def test_forced_open_on_a_healthy_dependency_shows_no_failures() -> None:
    words = said(view("forced_open", ran=0, refused=100))
    assert (words["failed"], words["condition"]) == ("–", "forced_open")


@pytest.mark.parametrize(
    ("ran", "failed", "words"),
    [(1, 1, "1 of 1"), (12, 3, "3 of 12"), (12, 0, "0%"), (100, 12, "12%"), (10_000, 1, "<0.1%")],
)
def test_few_calls_are_counted_and_many_are_a_share(ran: int, failed: int, words: str) -> None:
    assert said(view(ran=ran, failed=failed))["failed"] == words


def test_one_failed_call_alarms_nobody() -> None:
    assert not said(view(ran=2, failed=1))["needsAttention"]
    assert said(view(ran=100, failed=50))["needsAttention"]


@pytest.mark.parametrize("state", ["forced_closed", "metrics_only"])
def test_a_breaker_that_is_kept_from_opening_while_calls_fail_is_unprotected(state: str) -> None:
    assert said(view(state, ran=100, failed=100))["condition"] == "unprotected"
    assert said(view(state, ran=100, failed=0))["condition"] == state


def test_latencies_are_of_test_calls_only_where_no_instance_lets_others_through() -> None:
    assert said(view("open", states={"open": 3, "half_open": 1}))["onlyTestCalls"]
    assert not said(view("open", states={"open": 3, "closed": 1}))["onlyTestCalls"]


def test_an_outage_is_told_from_its_beginning_whatever_happened_since() -> None:
    words = said(view("half_open", outage=OUTAGE), now=BEGAN + 6 * 60)
    assert words["failingFor"] == "Failing for 6 min · since 16:43"
    assert words["cause"] == "5 timeouts in a row · 27 test calls failed"


def test_test_calls_that_passed_are_counted_among_all() -> None:
    words = said(view("half_open", outage={**OUTAGE, "failed_tests": 7, "passed_tests": 1}))
    assert words["cause"] == "5 timeouts in a row · test calls 1 of 8 ok"
