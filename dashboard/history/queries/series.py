"""Counts and latencies over time, and over a whole range."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connection

from breakers.circuit.histogram import Histogram, bucket_bounds
from breakers.circuit.records import OUTCOMES
from dashboard.history.levels import LEVELS, MINUTE
from dashboard.history.queries.extremes import extremes
from dashboard.history.queries.plans import Plan, plan
from dashboard.history.queries.timeline import states
from dashboard.history.services import marks
from dashboard.history.sketches import read, unpack

_PERCENTILES: Final = {"p50_ms": 0.5, "p90_ms": 0.9, "p95_ms": 0.95, "p99_ms": 0.99}
_CALLS: Final = ("success", "failure", "timeout", "ignored", "rejected", "bulkhead_full")
_ERRORS: Final = ("failure", "timeout", "rejected", "bulkhead_full")
# All breakers of the fleet in ten-second rows are many: only this much is shown so finely.
_FINE_FLEET_S: Final = 900
# So many rows at most has a heatmap; a wider range of latencies gets wider rows.
_ROWS: Final = 64


@dataclass(slots=True)
class Sum:
    """What was counted in some span."""

    counts: dict[str, int] = field(default_factory=dict)
    latencies: Histogram = field(default_factory=Histogram)

    def add(self, counts: Iterable[int], buckets: dict[int, int], sum_s: float) -> None:
        """Add what a row of a level holds."""
        for name, n in zip(OUTCOMES, counts, strict=True):
            if n:
                self.counts[name] = self.counts.get(name, 0) + n
        self.latencies.merge(buckets, sum_s)

    def figures(self) -> dict[str, Any]:
        """`counts` by outcome, `calls`, `errors` and their share `error_pct` (None without calls),
        `mean_ms` and percentiles (None where no call ran)."""
        calls = sum(self.counts.get(name, 0) for name in _CALLS)
        errors = sum(self.counts.get(name, 0) for name in _ERRORS)
        ran = self.latencies.count
        return {
            "counts": {name: self.counts.get(name, 0) for name in OUTCOMES},
            "calls": calls,
            "errors": errors,
            "error_pct": round(100 * errors / calls, 2) if calls else None,
            "mean_ms": _ms(self.latencies.sum_s / ran) if ran else None,
            **{name: _ms(self.latencies.quantile(q)) for name, q in _PERCENTILES.items()},
        }


def series(
    service: str | None,
    breaker: str | None,
    from_: float,
    to: float,
    step_s: float = 0,
    now: float | None = None,
) -> dict[str, Any]:
    """Columns over a range of Unix times, at most 400 points: of one breaker over all its
    instances, of a whole service (`breaker` None), or of the whole fleet (both None).

    - `from`, `to`, `step_s` (also as `bucket_s`), `level_s`: the range and the distance of points
      as they were chosen, and how fine the history is that they were summed from. The last point
      may be of less than a step: what happens now is shown, but for the ten seconds still filling.
    - `t`: when each point starts, Unix seconds. All columns below have one entry a point.
    - `counts`, `rate`: by outcome, how many and how many a second; 0 where nothing was reported.
    - `calls`: of one breaker only, `min` and `max`: the least and the most calls a second that any
      ten seconds of the point had, so that a long range does not hide a peak.
    - `latency`: `p50_ms`, `p90_ms`, `p95_ms`, `p99_ms`, `mean_ms`; None where no call ran.
    - `heatmap`: `edges_ms`, n + 1 edges of n rows from the fastest to the slowest, evenly apart on
      a logarithmic scale, at most 64 rows; `counts`, for each point the n counts, or None where no
      call ran. No edges and only None where none ran at all.
    - `total`: the figures of the whole range, see `sums`.
    - `states`: of one breaker only, see `states`.
    """
    now = time.time() if now is None else now
    if service is None and to - from_ > _FINE_FLEET_S:
        step_s = max(step_s, MINUTE)
    chosen = plan(from_, to, now, step_s)
    found = _read(chosen, f'"start" / {chosen.step_s} * {chosen.step_s}', service, breaker)
    points = [found.get((start,), Sum()) for start in chosen.starts]
    widths = [min(chosen.step_s, chosen.end - start) for start in chosen.starts]
    total = Sum()
    for point in points:
        total.add(
            (point.counts.get(name, 0) for name in OUTCOMES),
            point.latencies.buckets,
            point.latencies.sum_s,
        )
    counts = {name: [point.counts.get(name, 0) for point in points] for name in OUTCOMES}
    return {
        "from": chosen.begin,
        "to": max(chosen.begin, chosen.end),
        "step_s": chosen.step_s,
        "bucket_s": chosen.step_s,
        "level_s": LEVELS[chosen.level].step_s,
        "t": list(chosen.starts),
        "counts": counts,
        "rate": {
            name: [n / width for n, width in zip(column, widths, strict=True)]
            for name, column in counts.items()
        },
        "calls": extremes(chosen, service, breaker) if service and breaker else {},
        "latency": _latency(points),
        "heatmap": _heatmap(points, total.latencies),
        "total": total.figures(),
        "states": states(service, breaker, chosen.begin) if service and breaker else {},
    }


def sums(
    from_: float, to: float, service: str | None = None, now: float | None = None
) -> list[dict[str, Any]]:
    """The figures of each breaker over a range of Unix times, of one service or of the fleet:
    `service`, `breaker`, `counts`, `calls`, `errors`, `error_pct`, `mean_ms`, `p50_ms`, `p90_ms`,
    `p95_ms`, `p99_ms`. In order of names; those without history in the range are missing."""
    now = time.time() if now is None else now
    # Coarse rows are fewer, and the range begins at most a sixtieth of itself early.
    chosen = plan(from_, to, now, (to - from_) / 60)
    found = _read(chosen, '"service", "breaker"', service, None)
    return [{"service": key[0], "breaker": key[1], **found[key].figures()} for key in sorted(found)]


def _read(
    chosen: Plan, group: str, service: str | None, breaker: str | None
) -> dict[tuple[Any, ...], Sum]:
    """Sums by group. What has not been carried to the chosen level yet is read below it."""
    carried = marks()
    sums: dict[tuple[Any, ...], Sum] = {}
    for index in range(chosen.level + 1):
        begin = chosen.begin
        if index < chosen.level:
            begin = max(begin, carried[index + 1])
        for row in _rows(index, group, begin, chosen.end, service, breaker):
            *key, buckets, sum_s = row
            names = key[: -len(OUTCOMES)]
            counts = (int(n) for n in key[-len(OUTCOMES) :])
            sums.setdefault(tuple(names), Sum()).add(counts, unpack(read(buckets)), sum_s)
    return sums


def _rows(
    index: int, group: str, begin: int, end: int, service: str | None, breaker: str | None
) -> list[tuple[Any, ...]]:
    counts = ", ".join(f'sum("{name}")' for name in OUTCOMES)
    sql = (
        f'SELECT {group}, {counts}, sketch_sum("sketch"), sum("sum_s")'
        f' FROM "{LEVELS[index].table}" WHERE "start" >= %s AND "start" < %s'
    )
    values: list[Any] = [begin, end]
    for name, value in (("service", service), ("breaker", breaker)):
        if value is not None:
            sql += f' AND "{name}" = %s'
            values.append(value)
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} GROUP BY {group}", values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def _latency(points: list[Sum]) -> dict[str, list[float | None]]:
    columns: dict[str, list[float | None]] = {
        name: [_ms(point.latencies.quantile(q)) for point in points]
        for name, q in _PERCENTILES.items()
    }
    columns["mean_ms"] = [
        _ms(point.latencies.sum_s / ran) if (ran := point.latencies.count) else None
        for point in points
    ]
    return columns


def _heatmap(points: list[Sum], total: Histogram) -> dict[str, Any]:
    buckets = total.buckets
    if not buckets:
        return {"edges_ms": [], "counts": [None] * len(points)}
    first = min(buckets)
    joined = -(-(max(buckets) - first + 1) // _ROWS)
    rows = -(-(max(buckets) - first + 1) // joined)
    edges = [bucket_bounds(first + n * joined)[0] for n in range(rows + 1)]
    columns: list[list[int] | None] = []
    for point in points:
        column = [0] * rows
        for index, n in point.latencies.buckets.items():
            column[(index - first) // joined] += n
        columns.append(column if any(column) else None)
    return {"edges_ms": [round(edge * 1000, 4) for edge in edges], "counts": columns}


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
