"""The page of a service shows what it weighs, and how much of each budget it has used."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.test import Client
from django.utils import timezone

from breakers.protocol import messages as wire
from dashboard.access.models import Person
from dashboard.api.agents.budgets import BYTES, LIMITS, ServiceBudgets
from dashboard.common import budget_figures
from dashboard.fleet.models import Cursor, Service
from dashboard.fleet.service_figures import weight
from dashboard.observability.metrics import counters

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("static_files")]


@pytest.fixture
def budgets() -> Iterator[ServiceBudgets]:
    made = ServiceBudgets(now=lambda: 0.0)
    budget_figures.provide(made.figures)
    yield made
    budget_figures.provide(lambda service: [])


def rows(page: str) -> dict[str, list[str]]:
    table = page[page.index('id="budgets"') :].partition("</table>")[0]
    found = re.findall(r"<tr>(.*?)</tr>", table, re.S)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in found]
    return {row[0].partition(",")[0]: row[1:] for row in cells if row}


async def _use(budgets: ServiceBudgets) -> None:
    await budgets.charge_bytes("shop", int(LIMITS[BYTES].burst) // 4)
    report = wire.Report("shop", wire.Instance("one"), "b", 1, 1.0)
    await budgets.charge("shop", report, 10)


async def test_what_is_charged_is_a_figure(budgets: ServiceBudgets) -> None:
    await _use(budgets)
    by = {each.what: each for each in budgets.figures("shop")}
    assert set(by) == {limit.unit for limit in LIMITS.values()}
    assert by["bytes of messages"].share_pct == 25
    assert (by["starts of processes"].used, by["starts of processes"].limit) == (1, 10_000)
    assert all(each.used == 0 for each in budgets.figures("another"))


def test_the_page_shows_them(budgets: ServiceBudgets, operator: Person) -> None:
    Service.objects.create(name="shop")
    for boot in ("a", "b"):
        Cursor.objects.create(service="shop", instance="one", boot=boot, seq=1, at=timezone.now())
    budgets._buckets[BYTES].take("shop", LIMITS[BYTES].burst / 2)
    before = counters.over_budget["shop", BYTES]
    counters.over_budget["shop", BYTES] += 3
    client = Client()
    client.force_login(operator)
    shown = rows(client.get("/services/shop").content.decode())
    assert shown["bytes of messages"] == [
        "33,554,432 (50 %)", "67,108,864", str(before + 3),
    ]  # fmt: skip
    assert shown["processes heard of in 24 hours"][0] == "2 (0 %)"
    assert shown["pairs of an instance and a breaker"] == ["0 (0 %)", "50,000", "–"]


def test_the_weight_is_counted_from_what_is_shown() -> None:
    at = {"id": "one"}
    view = {"instances": [at, at], "breakers": [{"instances": [at, at]}, {"instances": [at]}]}
    found = {each.what: (each.used, each.limit) for each in weight("shop", view)}
    assert found["pairs of an instance and a breaker"] == (3, 50_000)
    assert found["rows of history a day"] == (2 * 8640, 8_640_000)
