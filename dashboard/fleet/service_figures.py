"""How much a service weighs in the fleet, next to what it may: instances, breakers, rows a day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.utils import timezone

from dashboard.common.budget_figures import BudgetFigure
from dashboard.fleet.membership import MAX_BREAKERS, MAX_INSTANCES, MAX_PAIRS
from dashboard.fleet.models import Cursor

# A breaker that is called all day has a row of history for each ten seconds.
ROWS_A_DAY: Final = 8640
# 0.1 starts a second, sustained, and the burst.
STARTS_A_DAY: Final = 18_640


def weight(service: str, view: Mapping[str, Any] | None) -> list[BudgetFigure]:
    """The figures of a service; `view` is of the fleet's snapshot, None where nothing of it is
    shown."""
    instances = len(view["instances"]) if view else 0
    breakers = view["breakers"] if view else []
    pairs = sum(len(each["instances"]) for each in breakers)
    day = Cursor.objects.filter(service=service, at__gt=timezone.now() - timedelta(days=1))
    return [
        BudgetFigure("instances", instances, MAX_INSTANCES),
        BudgetFigure("breakers", len(breakers), MAX_BREAKERS),
        BudgetFigure("pairs of an instance and a breaker", pairs, MAX_PAIRS),
        BudgetFigure(
            "rows of history a day", len(breakers) * ROWS_A_DAY, MAX_BREAKERS * ROWS_A_DAY
        ),
        BudgetFigure("processes heard of in 24 hours", day.count(), STARTS_A_DAY),
    ]
