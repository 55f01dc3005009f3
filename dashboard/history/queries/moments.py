"""The fleet as it was at one moment, out of rollups, outages and transitions."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connection

from breakers.circuit.histogram import Histogram
from breakers.circuit.records import OUTCOMES
from dashboard.fleet.frame_types import LastTransition
from dashboard.fleet.recent_window import FAILED, RAN, RECENT, REFUSED, SECONDS, failed_pct, total
from dashboard.history.levels import LEVELS, Level
from dashboard.history.models import HourRollup, MinuteRollup, Outage, Rollup, Transition
from dashboard.history.queries.series import Sum
from dashboard.history.services import marks
from dashboard.history.sketches import read, unpack
from dashboard.history.upserts import calls

Key = tuple[str, str]
# A breaker without a report for so long before the moment is not shown.
_KNOWN_S: Final = 600
# Bounds of one answer: outages, and transitions that tell their states.
_MOST_OUTAGES: Final = 5000
_MOST_TRANSITIONS: Final = 50_000
_BAD: Final = ("failure", "timeout", "rejected", "bulkhead_full")


@dataclass(slots=True)
class BreakerMoment:
    """A breaker at a moment. `states` counts the instances of which a state is known, `minute` has
    calls and those lost, as `spark` and `spark_err` of a live view do."""

    figures: dict[str, Any]
    minute: tuple[list[int], list[int]] = ((), ())  # type: ignore[assignment]  # never changed
    states: dict[str, int] = field(default_factory=dict)
    last: LastTransition | None = None
    outage: dict[str, Any] | None = None


def oldest() -> float | None:
    """Since when history is kept; None where there is none yet."""
    rows = (
        model.objects.order_by("start").values_list("start", flat=True).first()
        for model in (HourRollup, MinuteRollup, Rollup)
    )
    return min((float(row) for row in rows if row is not None), default=None)


def moment(at: float, now: float | None = None) -> tuple[int, dict[Key, BreakerMoment]]:
    """Of how many seconds the figures are, and each breaker that was there at a Unix time.

    Figures are of the last bucket that was complete then, at the finest level that is kept; counts
    are scaled to the ten seconds that live views tell of.
    """
    now = time.time() if now is None else now
    index = next((i for i, each in enumerate(LEVELS) if each.keeps(at, now)), len(LEVELS) - 1)
    level = LEVELS[index]
    start = level.floor(at - level.step_s) if index == 0 else level.floor(at)
    found = {key: BreakerMoment(_figures(Sum(), level)) for key in _known(index, at)}
    for key, counted in _sums(level, start).items():
        found[key] = BreakerMoment(_figures(counted, level))
    if index == 0:
        for key, minute in _minutes(level, start).items():
            if key in found:
                found[key].minute = minute
    _add_outages(found, at, level)
    return level.step_s, found


def _known(index: int, at: float) -> set[Key]:
    """The breakers that reported shortly before; what has been carried to minutes is read there,
    since those are fewer."""
    since = at - max(_KNOWN_S, LEVELS[index].step_s)
    spans = [(LEVELS[max(1, index)], since, at)]
    if index == 0:
        spans.append((LEVELS[0], max(since, marks()[1]), at))
    keys: set[Key] = set()
    for level, begin, end in spans:
        sql = (
            f'SELECT DISTINCT "service", "breaker" FROM "{level.table}"'
            f' WHERE "start" >= %s AND "start" <= %s'
        )
        with connection.cursor() as cursor:
            cursor.execute(sql, [level.floor(begin), level.floor(end)])
            keys.update((service, breaker) for service, breaker in cursor.fetchall())
    return keys


def _sums(level: Level, start: int) -> dict[Key, Sum]:
    names = ", ".join(f'"{name}"' for name in OUTCOMES)
    sql = (
        f'SELECT "service", "breaker", {names}, "sketch", "sum_s" FROM "{level.table}"'
        f' WHERE "start" = %s'
    )
    found: dict[Key, Sum] = {}
    with connection.cursor() as cursor:
        cursor.execute(sql, [start])
        for service, breaker, *counts, sketch, sum_s in cursor.fetchall():
            row = found.setdefault((service, breaker), Sum())
            row.add(counts, unpack(read(sketch)), sum_s)
    return found


def _minutes(level: Level, last: int) -> dict[Key, tuple[list[int], list[int]]]:
    """The minute before, second by second; ten seconds are spread evenly."""
    bad = " + ".join(f'"{name}"' for name in _BAD)
    first = last - SECONDS + level.step_s
    sql = (
        f'SELECT "service", "breaker", "start", {calls()}, {bad} FROM "{level.table}"'
        f' WHERE "start" >= %s AND "start" <= %s'
    )
    found: dict[Key, tuple[list[int], list[int]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(sql, [first, last])
        for service, breaker, start, every, lost in cursor.fetchall():
            minute = found.setdefault((service, breaker), ([0] * SECONDS, [0] * SECONDS))
            for second in range(start - first, start - first + level.step_s):
                minute[0][second] = round(every / level.step_s)
                minute[1][second] = round(lost / level.step_s)
    return found


def _figures(counted: Sum, level: Level) -> dict[str, Any]:
    counts = counted.counts
    ran, refused = total(counts, RAN), total(counts, REFUSED)
    scale = RECENT / level.step_s
    latencies: Histogram = counted.latencies
    return {
        "rate": round((ran + refused) / level.step_s, 1),
        "ran": round(ran * scale),
        "failed": round(total(counts, FAILED) * scale),
        "refused": round(refused * scale),
        "failed_pct": failed_pct(counts),
        "p50_ms": _ms(latencies.quantile(0.5)),
        "p99_ms": _ms(latencies.quantile(0.99)),
    }


def _add_outages(found: dict[Key, BreakerMoment], at: float, level: Level) -> None:
    lasting = Outage.objects.filter(began__lte=at).exclude(ended__lte=at)[:_MOST_OUTAGES]
    outages = {(row.service, row.breaker): row for row in lasting}
    for key, row in outages.items():
        view = found.setdefault(key, BreakerMoment(_figures(Sum(), level)))
        view.outage = {
            "id": row.id,
            "began": round(row.began, 1),
            "cause": row.cause,
            "instance": row.instance,
            "instances": row.instances,
            "failed_tests": 0,
            "passed_tests": 0,
            "refused": 0,
        }
        view.states = {"open": 1}
    _add_states(found, outages, at)


def _add_states(found: dict[Key, BreakerMoment], outages: dict[Key, Outage], at: float) -> None:
    """The state of each instance during an outage, and the test calls that had failed by then."""
    states: dict[Key, dict[str, str]] = {}
    for row in _changes(outages.values(), at):
        key = (row.service, row.breaker)
        if key not in outages or row.at < outages[key].began - 1:
            continue
        view = found[key]
        if view.last is None:
            view.last = {
                "at": row.at,
                "before": row.before,
                "after": row.after,
                "cause": row.cause,
                "instance": row.instance,
            }
        states.setdefault(key, {}).setdefault(row.instance, row.after)
        if view.outage and (row.before, row.after) == ("half_open", "open"):
            view.outage["failed_tests"] += 1
    for key, by_instance in states.items():
        counts: dict[str, int] = {}
        for state in by_instance.values():
            counts[state] = counts.get(state, 0) + 1
        found[key].states = counts


def _changes(outages: Iterable[Outage], at: float) -> Iterable[Transition]:
    """Newest first, of the breakers that were in an outage."""
    rows = list(outages)
    if not rows:
        return ()
    return Transition.objects.filter(
        at__gte=min(row.began for row in rows) - 1,
        at__lte=at,
        service__in={row.service for row in rows},
        breaker__in={row.breaker for row in rows},
    ).order_by("-at", "-number")[:_MOST_TRANSITIONS]


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
