"""The report of a drill: who obeyed, what tripped, and what callers saw, beside the time before."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from dashboard.access.authority import visible_services
from dashboard.access.models import Person
from dashboard.control.models import DrillRun
from dashboard.history import queries as history

# Breakers of callers open a moment later than the one that was hit.
_AFTER_S: Final = 10.0
_TRIPS: Final = 200
_ROWS: Final = 50
_ANSWERED: Final = ("success", "failure", "timeout", "ignored")


@dataclass(frozen=True)
class Trip:
    """A breaker that opened, on how many instances, how long after the start."""

    service: str
    breaker: str
    instances: int
    after_s: float
    cause: str


@dataclass(frozen=True)
class CallerView:
    """What callers of a breaker saw: calls, and the shares in per cent that failed, were refused,
    and were answered by a fallback. `failed_before` is that of the same time before."""

    service: str
    breaker: str
    calls: int
    failed: float
    refused: float
    fallback: float
    failed_before: float


@dataclass
class Report:
    """A run and what came of it. History is complete about 10 s after the end."""

    run: DrillRun
    seconds: float
    obeyed: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    tripped: list[Trip] = field(default_factory=list)
    seen: list[CallerView] = field(default_factory=list)


def report(run: DrillRun, person: Person, now: float | None = None) -> Report:
    """The report of a run, as far as this person sees services."""
    now = time.time() if now is None else now
    begin = run.created.timestamp()
    end = min(now, run.expires.timestamp())
    found = Report(run, end - begin)
    for ack in run.acks.order_by("instance"):
        if ack.status == "applied":
            found.obeyed.append(ack.instance)
        else:
            found.refused.append((ack.instance, ack.reason))
    visible = visible_services(person)
    found.tripped = [each for each in _trips(begin, end) if each.service in visible]
    tripped = {(each.service, each.breaker) for each in found.tripped}
    during, before = _sums(begin, end), _sums(begin - (end - begin), begin)
    for key, counts in sorted(during.items()):
        is_hit = key == (run.service, run.breaker)
        if key[0] in visible and (is_hit or key in tripped or counts.get("fallback")):
            found.seen.append(_caller_view(key, counts, before.get(key, {})))
    del found.seen[_ROWS:]
    return found


def _trips(begin: float, end: float) -> list[Trip]:
    trips: dict[tuple[str, str], list[Any]] = {}
    changes = history.between(begin, end + _AFTER_S, service="", breaker="", oldest_first=True)
    for each in islice((row for row in changes if row.after == "open"), _TRIPS):
        trips.setdefault((each.service, each.breaker), []).append(each)
    return [
        Trip(*key, len({row.instance for row in rows}), rows[0].at - begin, rows[0].cause)
        for key, rows in trips.items()
    ]


def _sums(begin: float, end: float) -> dict[tuple[str, str], dict[str, int]]:
    if end <= begin:
        return {}
    return {(row["service"], row["breaker"]): row["counts"] for row in history.sums(begin, end)}


def _caller_view(
    key: tuple[str, str], counts: dict[str, int], before: dict[str, int]
) -> CallerView:
    refused = counts.get("rejected", 0) + counts.get("bulkhead_full", 0)
    calls = sum(counts.get(name, 0) for name in _ANSWERED) + refused

    def share(n: int) -> float:
        return round(100 * n / calls, 1) if calls else 0.0

    return CallerView(
        *key,
        calls,
        share(_failed(counts)),
        share(refused),
        share(counts.get("fallback", 0)),
        _failed_share(before),
    )


def _failed(counts: dict[str, int]) -> int:
    return counts.get("failure", 0) + counts.get("timeout", 0)


def _failed_share(counts: dict[str, int]) -> float:
    calls = sum(counts.get(name, 0) for name in (*_ANSWERED, "rejected", "bulkhead_full"))
    return round(100 * _failed(counts) / calls, 1) if calls else 0.0
