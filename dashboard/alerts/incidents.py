"""Folds firings into incidents. Each function runs in the transaction of its caller.

Firings that a call path or a common caller links belong to one incident, and so do the firings of a
flood: many at once that nothing links.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dashboard.alerts.cause import Event, Graph, Node, Tripped, first_cause
from dashboard.alerts.evaluation import Change
from dashboard.alerts.models import Firing, Incident, IncidentEvent, Marker, Rule
from dashboard.alerts.rule_kinds import KINDS, SEVERITIES

# An incident closes after this time without a firing.
CALM_S: Final = 60.0
# A firing joins an open incident that is linked to it and began at most this long ago.
JOINS_S: Final = 6 * 3600.0
# So many unlinked groups within this time are one flood.
FLOOD_GROUPS: Final = 4
FLOOD_S: Final = 30.0
MAX_EVENTS: Final = 2000
# The first cause is sought among the breakers that tripped first; the work grows with the square.
CONSIDERED: Final = 200
_NAMED: Final = 6


@dataclass(frozen=True, slots=True)
class Impact:
    """What a page or a message says of a breaker besides its name."""

    open: int = 0
    instances: int = 0
    lost_per_s: float = 0.0
    has_fallback: bool = False
    only_on: str = ""


@dataclass(slots=True)
class Outcome:
    """The incidents that a batch of changes has opened, worsened or closed."""

    opened: list[Incident] = field(default_factory=list)
    worsened: list[Incident] = field(default_factory=list)
    closed: list[Incident] = field(default_factory=list)


def apply(
    changes: Sequence[Change],
    nodes: Collection[Node],
    impact: Callable[[Node], Impact],
    now: float,
) -> Outcome:
    """Store what fired and what ended, and close incidents that have been calm."""
    outcome = Outcome()
    touched: dict[int, Incident] = {}
    if changes:
        rules = Rule.objects.in_bulk({each.rule for each in changes})
        graph = Graph({*nodes, *(each.key for each in changes)})
        _end(changes, now, touched)
        fired = [each for each in changes if each.fired and each.rule in rules]
        _fold(fired, rules, graph, now, outcome, touched)
        events = markers_before(now)
        for incident in touched.values():
            describe(incident, graph, impact, events)
    _close_calm(now, outcome)
    return outcome


def _end(changes: Iterable[Change], now: float, touched: dict[int, Incident]) -> None:
    for each in changes:
        if each.fired:
            continue
        open_ = Firing.objects.filter(
            rule_id=each.rule, service=each.key[0], breaker=each.key[1], ended=None
        )
        for firing in open_.select_related("incident", "rule"):
            firing.ended = now
            firing.save(update_fields=["ended"])
            incident = touched.setdefault(firing.incident_id, firing.incident)
            note(incident, now, "ended", f"{firing.rule.name}: {_name(each.key)} ended")


def _fold(
    fired: Sequence[Change],
    rules: Mapping[int, Rule],
    graph: Graph,
    now: float,
    outcome: Outcome,
    touched: dict[int, Incident],
) -> None:
    open_ = list(Incident.objects.filter(ended=None).order_by("began"))
    members = {
        incident.id: set(incident.firings.values_list("service", "breaker")) for incident in open_
    }
    groups = _groups(fired, graph)
    recent = [each for each in open_ if each.began >= now - FLOOD_S]
    if len(groups) + len(recent) > FLOOD_GROUPS:
        groups = [[each for group in groups for each in group]] if groups else []
        flood = recent[0] if recent else None
    else:
        flood = None
    known = set(Firing.objects.filter(ended=None).values_list("rule_id", "service", "breaker"))
    for group in groups:
        fresh = [each for each in group if (each.rule, *each.key) not in known]
        if not fresh:
            continue
        incident = flood or _linked(open_, members, fresh, graph, now)
        worst = max((rules[each.rule].severity for each in fresh), key=SEVERITIES.index)
        if incident is None:
            incident = _open(fresh, worst, now)
            open_.append(incident)
            members[incident.id] = set()
            outcome.opened.append(incident)
        elif SEVERITIES.index(worst) > SEVERITIES.index(incident.severity):
            incident.severity = worst
            outcome.worsened.append(incident)
        incident = touched.setdefault(incident.id, incident)
        incident.calm_since = None
        members[incident.id].update(each.key for each in fresh)
        Firing.objects.bulk_create(
            Firing(
                rule_id=each.rule, incident=incident, service=each.key[0], breaker=each.key[1],
                began=each.began, fired=each.at, detail=KINDS[rules[each.rule].kind].title,
            )
            for each in fresh
        )  # fmt: skip
        for rule, nodes in _by_rule(fresh).items():
            note(incident, now, "fired", f"{rules[rule].name}: {_names(nodes)}")


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


def _linked(
    open_: Iterable[Incident],
    members: Mapping[int, set[Node]],
    fresh: Collection[Change],
    graph: Graph,
    now: float,
) -> Incident | None:
    keys = {each.key for each in fresh}
    for incident in open_:
        if incident.began < now - JOINS_S:
            continue
        if any(one == other or graph.related(one, other)
               for one in members[incident.id] for other in keys):  # fmt: skip
            return incident
    return None


def _open(fresh: Sequence[Change], severity: str, now: float) -> Incident:
    first = min(fresh, key=lambda each: (each.began, each.key))
    return Incident.objects.create(
        began=min(each.began for each in fresh), severity=severity,
        service=first.key[0], breaker=first.key[1], headline=_name(first.key),
    )  # fmt: skip


def describe(
    incident: Incident, graph: Graph, impact: Callable[[Node], Impact], events: Sequence[Event]
) -> None:
    """Find the first cause again, and write the headline."""
    firings = list(incident.firings.all())
    if not firings:
        return
    first_at: dict[Node, float] = {}
    for each in firings:
        node = (each.service, each.breaker)
        first_at[node] = min(each.began, first_at.get(node, each.began))
    earliest = sorted(first_at.items(), key=lambda each: (each[1], each[0]))[:CONSIDERED]
    tripped = [Tripped(node, at, only_on=impact(node).only_on) for node, at in earliest]
    cause = first_cause(tripped, graph, events)
    before = (incident.service, incident.breaker)
    incident.service, incident.breaker = cause.first.node
    incident.why = cause.why
    incident.began = min(first_at.values())
    incident.headline = _headline(cause.first, cause.symptoms, graph, impact)[:300]
    if before != cause.first.node and len(firings) > 1:
        note(incident, max(each.fired for each in firings), "cause",
             f"First cause: {_name(cause.first.node)} ({', '.join(cause.why)})")  # fmt: skip
    if all(each.ended is not None for each in firings):
        incident.calm_since = incident.calm_since or max(each.ended or 0 for each in firings)
    incident.save()


def _headline(
    first: Tripped, symptoms: Sequence[Tripped], graph: Graph, impact: Callable[[Node], Impact]
) -> str:
    figures = impact(first.node)
    where = f" on {figures.open} of {figures.instances} instances" if figures.open else ""
    only = f", only on {first.only_on}" if first.only_on else ""
    parts = [f"{first.node[1]} failing for {first.node[0]}{where}{only}"]
    above = [each.node for each in symptoms if first.node in graph.below(each.node)]
    beside = [each.node for each in symptoms if each.node not in above]
    if above:
        parts.append("takes down " + _names(above, " → "))
    if beside:
        parts.append("also " + _names(beside, "/"))
    if figures.lost_per_s >= 0.1:
        parts.append(f"{figures.lost_per_s:.0f} calls/s lost")
    if figures.has_fallback:
        parts.append(f"{first.node[1]} has a fallback")
    return "; ".join(parts)


def _close_calm(now: float, outcome: Outcome) -> None:
    for incident in Incident.objects.filter(ended=None, calm_since__lte=now - CALM_S):
        incident.ended = incident.calm_since
        incident.save(update_fields=["ended"])
        note(incident, now, "closed", f"Closed after {CALM_S:g} s without a firing")
        outcome.closed.append(incident)


def note(incident: Incident, at: float, kind: str, text: str, by: str = "") -> None:
    """Add a line to the incident's timeline, up to the maximum."""
    if incident.events.count() < MAX_EVENTS:
        IncidentEvent.objects.create(incident=incident, at=at, kind=kind, text=text[:2000], by=by)


def markers_before(now: float) -> list[Event]:
    """Deploys and policy changes of the last hours, newest first."""
    rows = Marker.objects.filter(at__gte=now - JOINS_S, at__lte=now)[:500]
    return [Event(row.at, row.service, row.text) for row in rows]


def _by_rule(fresh: Iterable[Change]) -> dict[int, list[Node]]:
    found: dict[int, list[Node]] = {}
    for each in fresh:
        found.setdefault(each.rule, []).append(each.key)
    return found


def _name(node: Node) -> str:
    return f"{node[0]}/{node[1]}"


def _names(nodes: Sequence[Node], joint: str = "/") -> str:
    shown = ", ".join(joint.join(each) for each in nodes[:_NAMED])
    return shown + (f" and {len(nodes) - _NAMED} more" if len(nodes) > _NAMED else "")
