"""The least and the most calls of ten seconds within each point of a chart: a mean over two hours
does not show a burst of a minute."""

from __future__ import annotations

from typing import Any, Final

from django.db import connection

from dashboard.history.levels import LEVELS
from dashboard.history.queries.plans import Plan
from dashboard.history.services import marks
from dashboard.history.upserts import calls

_FINEST_S: Final = LEVELS[0].step_s


def extremes(chosen: Plan, service: str, breaker: str) -> dict[str, list[float]]:
    """`min` and `max`, calls a second, an entry for each point of the plan. Ten seconds without a
    report count as none."""
    found: dict[int, list[int]] = {}
    carried = marks()
    for index in range(chosen.level + 1):
        begin = chosen.begin
        if index < chosen.level:
            begin = max(begin, carried[index + 1])
        for start, low, high, rows in _rows(index, chosen, begin, service, breaker):
            point = found.setdefault(start, [low, high, 0])
            point[0], point[1] = min(point[0], low), max(point[1], high)
            point[2] += rows * LEVELS[index].step_s
    least, most = [], []
    for start in chosen.starts:
        low, high, covered = found.get(start, (0, 0, 0))
        width = min(chosen.step_s, chosen.end - start)
        least.append(low / _FINEST_S if covered >= width else 0.0)
        most.append(high / _FINEST_S)
    return {"min": least, "max": most}


def _rows(index: int, chosen: Plan, begin: int, service: str, breaker: str) -> list[Any]:
    low = high = calls()
    if index:
        # Rows from before peaks were kept have none: it was at least the mean.
        most = "greatest" if connection.vendor == "postgresql" else "max"
        mean = f"{calls()} * {_FINEST_S} / {LEVELS[index].step_s}"
        low, high = '"low"', f'{most}("peak", {mean})'
    sql = (
        f'SELECT "start" / {chosen.step_s} * {chosen.step_s}, min({low}), max({high}), count(*)'
        f' FROM "{LEVELS[index].table}" WHERE "start" >= %s AND "start" < %s'
        f' AND "service" = %s AND "breaker" = %s GROUP BY 1'
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [begin, chosen.end, service, breaker])
        found: list[Any] = cursor.fetchall()
        return found
