"""Folds firings into incidents. Each function runs in the transaction of its caller.

Firings that a call path or a common caller links belong to one incident, and so do the firings of a
flood: many at once that nothing links. A breaker on which a rule fires again in the same incident
keeps its row, so that an incident has at most one row for each rule and breaker.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.db.models import F

from dashboard.alerts.cause import Graph, Node
from dashboard.alerts.evaluation import Change
from dashboard.alerts.first_cause import describe, full_name, markers_before, names, note
from dashboard.alerts.impact import Impact
from dashboard.alerts.models import Firing, Incident, Rule
from dashboard.alerts.rule_kinds import SEVERITIES

# An incident closes after this time without a firing.
CALM_S: Final = 60.0
# After this time without a firing, what fires is a new incident with a first cause of its own.
REST_S: Final = 30.0
# A firing joins an open incident that is linked to it and began at most this long ago.
JOINS_S: Final = 6 * 3600.0
# So many unlinked groups within this time are one flood.
FLOOD_GROUPS: Final = 4
FLOOD_S: Final = 30.0
_CHUNK: Final = 500
# Where a breaker is open is stored with firings, but not in a flood.
_DETAILED: Final = 50

_Row = tuple[int, str, str]


@dataclass(slots=True)
class Outcome:
    """The incidents that a batch of changes has opened, worsened or closed."""

    opened: list[Incident] = field(default_factory=list)
    worsened: list[Incident] = field(default_factory=list)
    closed: list[Incident] = field(default_factory=list)


@dataclass(slots=True)
class _Batch:
    """What one call of `apply` works with."""

    rules: Mapping[int, Rule]
    graph: Graph
    impact: Callable[[Node], Impact]
    now: float
    outcome: Outcome = field(default_factory=Outcome)
    touched: dict[int, Incident] = field(default_factory=dict)


def apply(
    changes: Sequence[Change], graph: Graph, impact: Callable[[Node], Impact], now: float
) -> Outcome:
    """Store what fired and what ended, and close incidents that have been calm."""
    rules = Rule.objects.in_bulk({each.rule for each in changes}) if changes else {}
    batch = _Batch(rules, graph, impact, now)
    _end_of_deleted_rules(batch)
    if changes:
        _end([each for each in changes if not each.fired], batch)
        _fold([each for each in changes if each.fired and each.rule in rules], batch)
    if batch.touched:
        events = markers_before(now, JOINS_S)
        for incident in batch.touched.values():
            if incident.ended is None:
                describe(incident, graph, impact, events)
    _close_calm(now, batch.outcome)
    return batch.outcome


def _end(ended: Collection[Change], batch: _Batch) -> None:
    """End the open firings of changes: a query for all of them, and one line for each rule."""
    if not ended:
        return
    wanted: set[_Row] = {(each.rule, *each.key) for each in ended}
    lines: dict[tuple[int, int], list[Node]] = {}
    rows: list[int] = []
    touched: set[int] = set()
    found = Firing.objects.filter(ended=None, rule__in={each.rule for each in ended})
    for pk, id, rule, service, breaker, times in found.values_list(
        "pk", "incident", "rule", "service", "breaker", "times"
    ):
        if (rule, service, breaker) in wanted:
            rows.append(pk)
            touched.add(id)
            # One that comes and goes is told once; its row counts the times.
            if times == 1:
                lines.setdefault((id, rule), []).append((service, breaker))
    for chunk in _chunks(rows):
        Firing.objects.filter(pk__in=chunk).update(ended=batch.now)
    for id, incident in Incident.objects.in_bulk(touched).items():
        batch.touched.setdefault(id, incident)
    rules = Rule.objects.in_bulk({rule for _, rule in lines})
    for (id, rule), nodes in lines.items():
        note(batch.touched[id], batch.now, "ended", f"{rules[rule].name}: {names(nodes)} ended")


def _end_of_deleted_rules(batch: _Batch) -> None:
    """End the open firings whose rule is gone: however it was deleted, nothing ends them later."""
    orphans = Firing.objects.filter(ended=None, rule=None)
    lines: dict[int, list[Node]] = {}
    for id, service, breaker in orphans.values_list("incident", "service", "breaker"):
        lines.setdefault(id, []).append((service, breaker))
    if not lines:
        return
    orphans.update(ended=batch.now)
    for id, incident in Incident.objects.in_bulk(lines).items():
        batch.touched[id] = incident
        note(incident, batch.now, "ended", f"Rule deleted: {names(lines[id])} ended")


def _fold(fired: Sequence[Change], batch: _Batch) -> None:
    if not fired:
        return
    known: set[_Row] = set(
        Firing.objects.filter(ended=None, rule__in=batch.rules).values_list(
            "rule", "service", "breaker"
        )
    )
    fired = [each for each in fired if (each.rule, *each.key) not in known]
    groups = _groups(fired, batch.graph)
    open_ = _candidates(batch)
    recent = [
        each
        for each in open_
        if each.incident.ended is None and each.incident.began >= batch.now - FLOOD_S
    ]
    flood = None
    if len(groups) + len(recent) > FLOOD_GROUPS:
        groups = [[each for group in groups for each in group]] if groups else []
        flood = recent[0] if recent else None
    for group in groups:
        found = flood or next((each for each in open_ if each.takes(group, batch.now)), None)
        worst = max((batch.rules[each.rule].severity for each in group), key=SEVERITIES.index)
        if found is None:
            found = _Open(_opened(group, worst), batch.graph)
            open_.append(found)
            batch.outcome.opened.append(found.incident)
        elif found.incident.ended is None and SEVERITIES.index(worst) > SEVERITIES.index(
            found.incident.severity
        ):
            found.incident.severity = worst
            if found.incident not in batch.outcome.opened:
                batch.outcome.worsened.append(found.incident)
        found.incident = batch.touched.setdefault(found.incident.pk, found.incident)
        found.incident.calm_since = None
        found.members.update(each.key for each in group)
        _store(found.incident, group, batch)


def _candidates(batch: _Batch) -> list[_Open]:
    """The open incidents, the oldest first, and those that a person has just resolved."""
    rows = Incident.objects.filter(merged_into=None).order_by("began")
    found = [*rows.filter(ended=None), *rows.filter(ended__gte=batch.now - REST_S)]
    return [_Open(incident, batch.graph) for incident in found]


class _Open:
    """An incident that may take firings, with its breakers and what they depend on."""

    def __init__(self, incident: Incident, graph: Graph) -> None:
        self.incident = incident
        self._graph = graph
        rows = incident.firings.order_by().values_list("service", "breaker").distinct()
        self.members: set[Node] = set(rows)

    def takes(self, group: Collection[Change], now: float) -> bool:
        """Whether a call path or a common caller links a group to the incident. What was resolved
        takes what comes back to its own breakers, as they do until an outage is quite over."""
        incident = self.incident
        if incident.ended is not None:
            return all(each.key in self.members for each in group)
        has_rested = incident.calm_since is not None and now - incident.calm_since >= REST_S
        if has_rested or incident.began < now - JOINS_S:
            return False
        return self._graph.linked(self.members, {each.key for each in group})


def _store(incident: Incident, group: Iterable[Change], batch: _Batch) -> None:
    """Store firings: rows of this incident that had ended go on, the others are new."""
    before: dict[_Row, tuple[int, int]] = {
        (rule, service, breaker): (pk, times)
        for pk, rule, service, breaker, times in incident.firings.exclude(ended=None).values_list(
            "pk", "rule", "service", "breaker", "times"
        )
    }
    again, fresh = [], []
    lines: dict[tuple[int, bool], list[Node]] = {}
    for each in group:
        known = before.get((each.rule, *each.key))
        if known is not None:
            again.append(known[0])
        else:
            fresh.append(each)
        if known is None or known[1] == 1:
            lines.setdefault((each.rule, known is not None), []).append(each.key)
    details = (
        {each.key: _detail(each.key, batch) for each in fresh} if len(fresh) <= _DETAILED else {}
    )
    for chunk in _chunks(again):
        Firing.objects.filter(pk__in=chunk).update(ended=None, times=F("times") + 1)
    Firing.objects.bulk_create(
        (
            Firing(
                rule_id=each.rule, rule_name=batch.rules[each.rule].name,
                incident=incident, service=each.key[0], breaker=each.key[1],
                began=each.began, fired=each.at, detail=details.get(each.key, ""),
            )
            for each in fresh
        ),
        batch_size=_CHUNK,
    )  # fmt: skip
    for (rule, came_back), nodes in lines.items():
        text = f"{batch.rules[rule].name}: {names(nodes)}" + (" again" if came_back else "")
        note(incident, batch.now, "fired", text)


def _detail(node: Node, batch: _Batch) -> str:
    """Where a breaker is open, if it is not open everywhere."""
    only_on = batch.impact(node).only_on
    return f"only on {only_on}" if only_on else ""


def _chunks(rows: Sequence[int]) -> Iterable[Sequence[int]]:
    return (rows[at : at + _CHUNK] for at in range(0, len(rows), _CHUNK))


def _groups(fired: Sequence[Change], graph: Graph) -> list[list[Change]]:
    """The changes that are linked to each other, by services: a service is linked with the services
    that its breakers are named after."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for each in fired:
        parent[root(each.key[1])] = root(each.key[0])
        for below in graph.below(each.key):
            parent[root(below[0])] = root(each.key[0])
    groups: dict[str, list[Change]] = {}
    for each in fired:
        groups.setdefault(root(each.key[0]), []).append(each)
    return list(groups.values())


def _opened(group: Sequence[Change], severity: str) -> Incident:
    first = min(group, key=lambda each: (each.began, each.key))
    return Incident.objects.create(
        began=min(each.began for each in group), severity=severity,
        service=first.key[0], breaker=first.key[1], headline=full_name(first.key),
    )  # fmt: skip


def _close_calm(now: float, outcome: Outcome) -> None:
    # The clock was ahead and has stepped back.
    Incident.objects.filter(ended=None, calm_since__gt=now + 1).update(calm_since=now)
    for incident in Incident.objects.filter(ended=None, calm_since__lte=now - CALM_S):
        incident.ended = incident.calm_since
        incident.save(update_fields=["ended"])
        note(incident, now, "closed", f"Closed after {CALM_S:g} s without a firing")
        outcome.closed.append(incident)
