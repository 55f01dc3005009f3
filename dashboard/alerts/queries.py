"""Reads: active rules, stored firings, minutes of history, incidents."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import Max, QuerySet

from dashboard.access.authority import ServiceSet
from dashboard.access.models import TeamService
from dashboard.alerts.models import Firing, Incident, Marker, Rule
from dashboard.alerts.observations import COUNTED
from dashboard.alerts.rule_kinds import params_of
from dashboard.alerts.selection import ActiveRule, Key
from dashboard.history.models import MinuteRollup, Rolled, Rollup
from dashboard.history.queries.series import sums


def active_rules() -> list[ActiveRule]:
    """The enabled rules, with the services of their teams."""
    teams: dict[int, tuple[str, ...]] = {}
    for team, pattern in TeamService.objects.values_list("team_id", "service"):
        teams[team] = (*teams.get(team, ()), pattern)
    return [as_active(rule, teams) for rule in Rule.objects.filter(enabled=True)]


def as_active(rule: Rule, teams: Mapping[int, tuple[str, ...]] | None = None) -> ActiveRule:
    """A rule as it is evaluated."""
    services = None
    if rule.team_id is not None:
        if teams is None:
            rows = TeamService.objects.filter(team_id=rule.team_id)
            services = tuple(rows.values_list("service", flat=True))
        else:
            services = teams.get(rule.team_id, ())
    return ActiveRule(
        rule.pk or 0, rule.kind, params_of(rule.kind, rule.params), rule.for_s,
        rule.service, rule.breaker, rule.tag, services,
    )  # fmt: skip


def open_firings() -> dict[tuple[int, Key], float]:
    """The firings that have not ended, with their beginnings."""
    rows = Firing.objects.filter(ended=None).exclude(rule=None)
    return {
        (rule, (service, breaker)): began
        for rule, service, breaker, began in rows.values_list("rule", "service", "breaker", "began")
    }


def minutes(since: float, until: float) -> Iterator[tuple[float, dict[Key, dict[str, int]]]]:
    """The counts of each whole minute between two Unix times: the end of the minute, and the counts
    of each breaker that had calls. The minute level has what is older than its mark, the ten-second
    level what is newer."""
    first, last = int(since // 60 * 60), int(until // 60 * 60)
    mark = min(
        max(Rolled.objects.filter(step_s=60).aggregate(to=Max("to"))["to"] or 0, first), last
    )
    mark = mark // 60 * 60
    rolled = MinuteRollup.objects.filter(start__gte=first, start__lt=mark).order_by("start")
    yield from _by_minute(rolled, first, mark)
    rows = Rollup.objects.filter(start__gte=mark, start__lt=last).order_by("start")
    yield from _by_minute(rows, mark, last)


def _by_minute(
    rows: QuerySet[Any], first: int, last: int
) -> Iterator[tuple[float, dict[Key, dict[str, int]]]]:
    found: dict[Key, dict[str, int]] = {}
    end = first + 60
    for start, service, breaker, *counts in rows.values_list(
        "start", "service", "breaker", *COUNTED
    ).iterator(2000):
        while start >= end:
            yield float(end), found
            found, end = {}, end + 60
        known = found.setdefault((service, breaker), dict.fromkeys(COUNTED, 0))
        for name, count in zip(COUNTED, counts, strict=True):
            known[name] += count
    while end <= last:
        yield float(end), found
        found, end = {}, end + 60


def visible(incidents: QuerySet[Incident], services: ServiceSet, limit: int) -> list[Incident]:
    """The incidents that touch a service of the set."""
    found = []
    for incident in incidents.prefetch_related("firings")[: limit * 5]:
        names = {each.service for each in incident.firings.all()} | {incident.service}
        if services.among(names):
            found.append(incident)
        if len(found) == limit:
            break
    return found


def open_incidents(services: ServiceSet, limit: int = 20) -> list[Incident]:
    """The incidents that last, the worst and newest first."""
    rows = visible(Incident.objects.filter(ended=None, merged_into=None), services, limit)
    order = {"critical": 0, "warning": 1, "info": 2}
    return sorted(rows, key=lambda each: (order[each.severity], -each.began))


def markers(since: float, until: float, service: str = "", limit: int = 500) -> list[Marker]:
    """Markers of a range, newest first."""
    rows = Marker.objects.filter(at__gte=since, at__lte=until)
    if service:
        rows = rows.filter(service__in=[service, ""])
    return list(rows[:limit])


def figures(incident: Incident, now: float | None = None) -> dict[Key, dict[str, Any]]:
    """What the breakers of an incident counted while it lasted, from the level of history that
    still has it; see `dashboard.history.queries.series.sums`."""
    now = time.time() if now is None else now
    end = incident.ended or now
    nodes = set(incident.firings.values_list("service", "breaker"))
    found = {}
    for service in {service for service, _ in nodes}:
        for row in sums(incident.began - 10, max(end, incident.began) + 10, service, now):
            if (service, row["breaker"]) in nodes:
                found[service, row["breaker"]] = row
    return found
