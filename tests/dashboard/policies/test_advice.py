"""Advice from a day of healthy traffic."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest
from django.test import Client

from breakers.circuit.histogram import Histogram
from breakers.circuit.policy import Policy
from dashboard.access.models import Person
from dashboard.history.models import MinuteRollup
from dashboard.policies import services
from dashboard.policies.advice import Advice, Traffic, advise, breaker, healthy

LOOSE = Policy(timeout=5.0, retry_budget=None).as_dict()


def traffic(failing: float = 0.001, retried: float = 0.01, calls: int = 1_000_000) -> Traffic:
    latencies = Histogram()
    latencies.record_many([0.05] * 990 + [0.2] * 10)
    return Traffic(latencies, calls, [failing] * 100, [retried] * 100)


def advised(**fields: Any) -> Mapping[str, Advice]:
    policy = {**LOOSE, **fields.pop("policy", {})}
    return {each.field: each for each in advise(policy, traffic(), **fields)}


def test_the_timeout_is_the_slowest_thousandth_with_headroom() -> None:
    found = advised()["timeout"]
    assert found.value == pytest.approx(0.3, rel=0.1)
    assert found.is_looser
    assert "99.9th percentile" in found.why


def test_an_impatient_caller_bounds_the_timeout() -> None:
    found = advised(caller_s=0.25)["timeout"]
    assert (found.value, found.why) == (0.25, "the caller leaves 250 ms for an attempt")


def test_the_threshold_is_a_run_that_chance_does_not_make() -> None:
    # A million calls a day, 0.1 % fail: three in a row come by chance each 1,000 days.
    assert advised()["failure_threshold"].value == 3
    (found,) = (x for x in advise(LOOSE, traffic(failing=0.1)) if x.field == "failure_threshold")
    assert found.value == 8
    assert 1_000_000 * 0.1**found.value == pytest.approx(0.01)


def test_a_rate_rule_needs_no_threshold() -> None:
    only_rate = {"failure_threshold": None, "failure_rate_threshold": 0.5}
    assert "failure_threshold" not in advised(policy=only_rate)


@pytest.mark.parametrize(("retried", "value"), [(0.0, 0.05), (0.04, 0.1), (0.9, 0.2)])
def test_the_budget_is_twice_what_retries_add(retried: float, value: float) -> None:
    (found,) = (x for x in advise(LOOSE, traffic(retried=retried)) if x.field == "retry_budget")
    assert (found.value, found.is_looser) == (pytest.approx(value), True)


def test_values_that_fit_are_not_looser() -> None:
    fitting = {"timeout": 0.4, "failure_threshold": 5, "retry_budget": 0.1}
    assert not any(each.is_looser for each in advised(policy=fitting).values())


def test_outages_and_refusals_are_not_healthy() -> None:
    row = {"success": 90, "failure": 10, "timeout": 0, "rejected": 0, "retry": 0, "buckets": {}}
    rows = [{**row, "start": 0}, {**row, "start": 600}, {**row, "start": 1200, "rejected": 1}]
    assert healthy(rows, [(590.0, 700.0)]).calls == 100


@pytest.mark.django_db
@pytest.mark.usefixtures("static_files")
class TestPage:
    def history(self, hours: float) -> None:
        now = int(time.time()) // 60 * 60
        MinuteRollup.objects.bulk_create(
            MinuteRollup(
                service="shop",
                breaker="posts",
                start=now - 60 * n,
                success=100,
                sketch=[-30, 100],
            )
            for n in range(int(hours * 60))
        )

    def test_a_quiet_prompt_names_what_is_looser(self, operator: Person) -> None:
        services.note_declared({"shop": {"posts": {"timeout": 30.0}}})
        self.history(25)
        client = Client()
        client.force_login(operator)
        page = client.get("/services/shop/breakers/posts/policy").content.decode()
        assert "24 h of traffic: these values are looser than needed" in page
        assert "timeout 30 s" in page

    def test_before_a_day_there_is_none(self) -> None:
        services.note_declared({"shop": {"posts": {"timeout": 30.0}}})
        self.history(23)
        assert breaker("shop", "posts") == []
