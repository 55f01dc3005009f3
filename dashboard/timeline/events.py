"""What happened across the fleet, on one axis: transitions of breakers and acts of people."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

from dashboard.access.models import AuditEntry
from dashboard.access.queries import audited
from dashboard.history import queries as history
from dashboard.history.models import Outage, Transition

KINDS: Final = {
    "outage": "Outages",
    "transition": "Transitions",
    "override": "Overrides",
    "policy": "Policies",
    "access": "Access",
    "marker": "Markers",
}
# Instances that change alike within this time share one line.
TOGETHER_S: Final = 10.0
_NAMED_INSTANCES: Final = 20
# Outages that one view or export reads.
_MOST_OUTAGES: Final = 5000
# Two instances change at slightly different times.
_EDGE_S: Final = 1.0
_FORCED: Final = frozenset({"forced_open", "forced_closed", "metrics_only", "forced_partial"})


@dataclass(slots=True)
class Event:
    """One thing that happened; `at` is Unix time.

    `title` says what, `why` the cause or the reason, `who` the person (empty for a breaker's own
    doing). `instances` are where it happened, at most twenty by name, `count` of them in all.
    """

    id: str
    at: float
    kind: str
    service: str
    breaker: str
    title: str
    why: str = ""
    who: str = ""
    before: str = ""
    after: str = ""
    instances: list[str] = field(default_factory=list)
    count: int = 0
    until: float = 0.0
    detail: dict[str, Any] = field(default_factory=dict)


# What breakers do by themselves: shown to everybody.
OF_BREAKERS: Final = frozenset({"outage", "transition"})


# Also shown to everybody who sees the service.
SHOWN_TO_ALL: Final = OF_BREAKERS | {"marker"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events: of a range, and of all or of what is named."""

    since: float
    until: float
    kinds: frozenset[str] = frozenset(KINDS)
    service: str = ""
    breaker: str = ""
    who: str = ""


Source = Callable[[Wanted, bool], Iterator[Event]]
_sources: Final[dict[str, Source]] = {}


def add_source(kind: str, source: Source) -> None:
    """Register where the events of a kind come from: `source(wanted, oldest_first)`. Apps that
    build on this one add their own."""
    _sources[kind] = source


def events(wanted: Wanted, *, oldest_first: bool = False, folds: bool = True) -> Iterator[Event]:
    """Each event by itself, in order of time.

    With `folds`, transitions that are part of an outage are left out where outages are wanted: the
    outage stands for them.
    """
    sources: list[Iterator[Event]] = []
    span = (wanted.since, wanted.until)
    named: dict[str, Any] = {"service": wanted.service, "breaker": wanted.breaker}
    named["oldest_first"] = oldest_first
    # A breaker has no author: a filter by person leaves out what breakers did.
    of_breakers = frozenset() if wanted.who else wanted.kinds & OF_BREAKERS
    outages = (
        history.outages(*span, service=wanted.service, breaker=wanted.breaker, limit=_MOST_OUTAGES)
        if "outage" in of_breakers
        else []
    )
    if outages:
        rows = sorted(outages, key=lambda row: row.began, reverse=not oldest_first)
        sources.append(map(_of_outage, rows))
    if "transition" in of_breakers:
        changes = history.between(*span, **named)
        if folds and outages:
            changes = _outside(outages, changes)
        sources.append(map(_of_breaker, changes))
    sources += [source(wanted, oldest_first) for kind, source in _sources.items()
                if kind in wanted.kinds]  # fmt: skip
    if wanted.kinds - SHOWN_TO_ALL:
        acts = map(_of_person, audited(*span, **named, by=wanted.who))
        left_out = {"marker added"} if "marker" in wanted.kinds else ()
        sources.append(
            each for each in acts if each.kind in wanted.kinds and each.title not in left_out
        )
    return heapq.merge(*sources, key=lambda each: each.at, reverse=not oldest_first)


def _outside(outages: Iterable[Outage], changes: Iterator[Transition]) -> Iterator[Transition]:
    """The transitions that are part of no outage."""
    spans: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for each in outages:
        end = inf if each.ended is None else each.ended + _EDGE_S
        spans.setdefault((each.service, each.breaker), []).append((each.began - _EDGE_S, end))
    for change in changes:
        known = spans.get((change.service, change.breaker), ())
        if not any(begin <= change.at <= end for begin, end in known):
            yield change


def together(found: Iterable[Event]) -> Iterator[Event]:
    """Events, with those of many instances that changed alike in one. Works in either order.

    Holds back no more than `TOGETHER_S` of them.
    """
    waiting: deque[Event] = deque()
    open_: dict[tuple[str, str, str, str], Event] = {}
    for each in found:
        while waiting and abs(waiting[0].at - each.at) > TOGETHER_S:
            yield _let_go(waiting, open_)
        key = _alike(each)
        group = open_.get(key) if each.kind == "transition" else None
        if group is None:
            waiting.append(each)
            if each.kind == "transition":
                open_[key] = each
        else:
            _join(group, each)
    while waiting:
        yield _let_go(waiting, open_)


def _alike(event: Event) -> tuple[str, str, str, str]:
    return event.service, event.breaker, event.before, event.after


def _let_go(waiting: deque[Event], open_: dict[tuple[str, str, str, str], Event]) -> Event:
    event = waiting.popleft()
    if open_.get(_alike(event)) is event:
        del open_[_alike(event)]
    return event


def _join(group: Event, each: Event) -> None:
    if each.instances[0] not in group.instances:
        group.count += 1
        if len(group.instances) < _NAMED_INSTANCES:
            group.instances.append(each.instances[0])
    group.until = each.at


def _of_outage(row: Outage) -> Event:
    return Event(
        id=f"o{row.id}",
        at=row.began,
        kind="outage",
        service=row.service,
        breaker=row.breaker,
        title=row.ended_as or "lasts",
        why=row.cause,
        after="open" if row.ended is None else "closed",
        instances=[row.instance],
        count=row.instances,
        until=row.ended or 0.0,
        detail={
            "failed_tests": row.failed_tests,
            "passed_tests": row.passed_tests,
            "refused": row.refused,
            "ended": row.ended,
            "ended_as": row.ended_as,
        },
    )


def _of_breaker(row: Transition) -> Event:
    return Event(
        id=f"t{row.key}",
        at=row.at,
        kind="transition",
        service=row.service,
        breaker=row.breaker,
        title="",
        why=row.cause,
        before=row.before,
        after=row.after,
        instances=[row.instance],
        count=1,
        until=row.at,
        detail=row.window,
    )


def _of_person(row: AuditEntry) -> Event:
    at = row.at.timestamp()
    after = row.act if row.act in _FORCED else ""
    instances = row.detail.get("instances") or []
    return Event(
        id=f"a{row.pk}",
        at=at,
        kind=_kind(row),
        service=row.service,
        breaker=row.breaker,
        title=row.act,
        why=row.reason,
        who=row.by,
        after=after,
        instances=list(instances)[:_NAMED_INSTANCES],
        count=len(instances),
        until=at,
        detail=row.detail,
    )


def _kind(row: AuditEntry) -> str:
    if row.act.startswith("policy"):
        return "policy"
    # What is done to a breaker and is no policy is a hand on it: an override, its end, its undoing.
    return "override" if row.breaker else "access"
