"""Names the first cause of a stored incident, and writes its headline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from django.db.models import F, Max, Min, Q

from dashboard.alerts.cause import Event, Graph, Node, Tripped, first_cause
from dashboard.alerts.impact import Impact, advise
from dashboard.alerts.models import Incident, IncidentEvent, Marker
from dashboard.alerts.rule_kinds import OUTAGE_KINDS
from dashboard.policies.models import PolicyVersion

MAX_EVENTS: Final = 2000
# The first cause is sought among the breakers that tripped first; the work grows with the square.
CONSIDERED: Final = 200
_NAMED: Final = 6
_MARKERS: Final = 500


def describe(
    incident: Incident, graph: Graph, impact: Callable[[Node], Impact], events: Sequence[Event]
) -> None:
    """Find the first cause again, write the headline, and note whether nothing fires any more."""
    firings = incident.firings.order_by()
    rows = firings.values_list("service", "breaker").annotate(
        first=Min("began"), outage=Min("began", filter=Q(rule__kind__in=OUTAGE_KINDS))
    )
    earliest = list(
        rows.order_by(F("outage").asc(nulls_last=True), "first", "service", "breaker")[
            : CONSIDERED + 1
        ]
    )
    if not earliest:
        return
    total = len(earliest)
    if total > CONSIDERED:
        total = firings.values("service", "breaker").distinct().count()
    impacts = {(service, breaker): impact((service, breaker))
               for service, breaker, *_ in earliest[:CONSIDERED]}  # fmt: skip
    tripped: list[Tripped] = []
    beside: list[Tripped] = []
    for service, breaker, first, outage in earliest[:CONSIDERED]:
        at = first if outage is None else outage
        each = Tripped((service, breaker), at, only_on=impacts[service, breaker].only_on)
        (beside if outage is None else tripped).append(each)
    # A budget that burns may have begun to before anything tripped; it explains nothing.
    cause = first_cause(tripped or beside, graph, events)
    if tripped:
        cause.symptoms += beside
    before = (incident.service, incident.breaker)
    incident.service, incident.breaker = cause.first.node
    incident.why = cause.why
    incident.began = min(each.at for each in tripped or beside)
    beyond = total - len(tripped) - len(beside)
    incident.headline = _headline(
        cause.first, cause.symptoms, graph, impacts[cause.first.node], beyond
    )[:300]
    incident.advice = str(advise(impacts, cause.first.node) or "")[:300]
    known = firings.aggregate(fired=Max("fired"), ended=Max("ended"))
    if before != cause.first.node and total > 1:
        note(incident, known["fired"], "cause",
             f"First cause: {full_name(cause.first.node)} ({', '.join(cause.why)})")  # fmt: skip
    if not firings.filter(ended=None).exists():
        incident.calm_since = incident.calm_since or known["ended"]
    incident.save()


def _headline(
    first: Tripped,
    symptoms: Sequence[Tripped],
    graph: Graph,
    figures: Impact,
    beyond: int,
) -> str:
    where = f" on {figures.open} of {figures.instances} instances" if figures.open else ""
    only = f", only on {first.only_on}" if first.only_on else ""
    parts = [f"{first.node[1]} failing for {first.node[0]}{where}{only}"]
    above = [each.node for each in symptoms if first.node in graph.below(each.node)]
    beside = [each.node for each in symptoms if each.node not in above]
    if above:
        parts.append("takes down " + names(above, " → "))
    if beside:
        parts.append("also " + names(beside, "/", beyond))
    if figures.lost_per_s >= 0.1:
        lost = round(figures.lost_per_s) or 1
        parts.append(f"{lost} {'call' if lost == 1 else 'calls'}/s lost")
    if figures.has_fallback:
        parts.append(f"{first.node[1]} has a fallback")
    return "; ".join(parts)


def note(incident: Incident, at: float, kind: str, text: str, by: str = "") -> None:
    """Add a line to the incident's timeline, up to the maximum."""
    if incident.events.count() < MAX_EVENTS:
        IncidentEvent.objects.create(incident=incident, at=at, kind=kind, text=text[:2000], by=by)


def markers_before(now: float, seconds: float) -> list[Event]:
    """Deploys and policy changes of the last hours, newest first."""
    rows = Marker.objects.exclude(kind="incident").filter(at__gte=now - seconds, at__lte=now)
    found = [Event(row.at, row.service, row.text) for row in rows[:_MARKERS]]
    since = datetime.fromtimestamp(now - seconds, UTC)
    changes = PolicyVersion.objects.filter(created__gte=since).select_related("policy")
    for row in changes.order_by("-created")[:_MARKERS]:
        at, policy = row.created.timestamp(), row.policy
        if at <= now:
            where = "/".join(filter(None, (policy.service, policy.breaker))) or "the fleet"
            fields = ", ".join(sorted(row.diff)) or "nothing"
            text = f"policy of {where} changed by {row.by} ({fields})"
            found.append(Event(at, policy.service, text[:300]))
    return sorted(found, key=lambda each: each.at, reverse=True)


def full_name(node: Node) -> str:
    """ "service/breaker"."""
    return f"{node[0]}/{node[1]}"


def names(nodes: Sequence[Node], joint: str = "/", beyond: int = 0) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(joint.join(each) for each in nodes[:_NAMED])
    more = len(nodes) - min(len(nodes), _NAMED) + beyond
    return shown + (f" and {more} more" if more else "")
