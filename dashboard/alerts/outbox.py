"""The outbox: which messages an incident causes. `delivery` sends them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.db import transaction
from django.db.models import Q, QuerySet

from dashboard.access.authority import demand, teams_of
from dashboard.access.models import Person
from dashboard.access.roles import ADMINISTER
from dashboard.access.services import audit
from dashboard.alerts.first_cause import note
from dashboard.alerts.models import Channel, Incident, OutboxMessage, Route, Silence
from dashboard.alerts.rule_kinds import SEVERITIES

logger = logging.getLogger("switchgear.alerts")

MAX_QUEUED: Final = 10_000
LINK_AGE: Final = timedelta(days=7)
_SALT: Final = "switchgear.incident.acknowledge"


def announce(incident: Incident, kind: str, now: float) -> int:
    """Queue the messages about an incident, one for each route; in the caller's transaction."""
    if is_silenced(incident, now):
        note(incident, now, "silenced", "No messages: a silence matches")
        return 0
    called = _called_routes(incident) if kind == "resolved" else None
    queued = 0
    for route in _routes():
        # Who was never called need not hear that it is over.
        if not _wants(route, incident) or (called is not None and route.pk not in called):
            continue
        if kind == "worsened" and route.escalate_after_s:
            continue
        queued += _queue(route, incident, kind, now)
    return queued


def _called_routes(incident: Incident) -> set[int]:
    """The routes that an incident was sent to, or is being sent to."""
    sent = Q(outcome="delivered") | Q(finished=None, only_unacknowledged=False)
    return set(map(_route_of, OutboxMessage.objects.filter(sent, incident=incident)))


def _route_of(message: OutboxMessage) -> int:
    return int(message.key.rpartition(":")[2])


def announce_to_new_routes(now: float) -> int:
    """Tell the open incidents to routes that have no message about them: a route that was added
    since, or one that wants an incident only since it has grown."""
    queued = 0
    routes = list(_routes())
    for incident in Incident.objects.filter(ended=None, merged_into=None):
        called = set(map(_route_of, OutboxMessage.objects.filter(incident=incident)))
        new = [each for each in routes if each.pk not in called and _wants(each, incident)]
        if new and not is_silenced(incident, now):
            queued += sum(_queue(each, incident, "opened", now) for each in new)
    return queued


def _routes() -> QuerySet[Route]:
    return Route.objects.filter(enabled=True, channel__enabled=True).select_related("channel")


def _queue(route: Route, incident: Incident, kind: str, now: float) -> int:
    escalates = kind == "opened" and route.escalate_after_s > 0
    due = now + (route.escalate_after_s if escalates else 0.0)
    if incident.severity != "critical":
        due = after_quiet_hours(route, due)
    return enqueue(
        route.channel, kind, incident.headline, body_of(incident, kind),
        key=f"{incident.id}:{kind}:{incident.severity}:{route.id}", now=now, due=due,
        incident=incident, only_unacknowledged=escalates,
    )  # fmt: skip


def enqueue(
    channel: Channel,
    kind: str,
    title: str,
    body: str,
    *,
    key: str,
    now: float,
    due: float,
    incident: Incident | None = None,
    only_unacknowledged: bool = False,
) -> int:
    """Queue one message, once for each key. Returns whether it is new."""
    if OutboxMessage.objects.filter(finished=None).count() >= MAX_QUEUED:
        logger.error("the outbox is full; the message %s is not queued", key)
        return 0
    _, made = OutboxMessage.objects.get_or_create(
        key=key[:200],
        defaults={
            "channel": channel, "kind": kind, "title": title[:300], "body": body, "created": now,
            "due": due, "incident": incident, "only_unacknowledged": only_unacknowledged,
        },
    )  # fmt: skip
    return int(made)


def is_silenced(incident: Incident, now: float) -> bool:
    """Whether silences match every firing of an incident."""
    silences = list(Silence.objects.filter(starts__lte=now, ends__gt=now))
    nodes = set(incident.firings.values_list("service", "breaker"))
    return bool(silences and nodes) and all(
        any(_like(s.service, node[0]) and _like(s.breaker, node[1]) for s in silences)
        for node in nodes
    )


def _wants(route: Route, incident: Incident) -> bool:
    if SEVERITIES.index(incident.severity) < SEVERITIES.index(route.min_severity):
        return False
    services = set(incident.firings.values_list("service", flat=True)) | {incident.service}
    if route.service and not any(_like(route.service, each) for each in services):
        return False
    return route.team_id is None or any(
        team.pk == route.team_id for each in services for team in teams_of(each)
    )


def _like(pattern: str, text: str) -> bool:
    return not pattern or fnmatchcase(text, pattern)


def after_quiet_hours(route: Route, due: float) -> float:
    """`due`, or the end of the route's quiet hours if it falls into them."""
    begin, end = route.quiet_from, route.quiet_to
    if begin is None or end is None or begin == end:
        return due
    local = datetime.fromtimestamp(due, ZoneInfo(route.zone))
    quiet = begin <= local.hour < end if begin < end else local.hour >= begin or local.hour < end
    if not quiet:
        return due
    ends = local.replace(hour=end, minute=0, second=0, microsecond=0)
    if ends <= local:
        ends += timedelta(days=1)
    return ends.timestamp()


def link(incident: Incident) -> str:
    """The address of an incident; its signature allows to acknowledge it after a login."""
    token = TimestampSigner(salt=_SALT).sign(str(incident.pk))
    return f"{settings.PUBLIC_URL}/incidents/{incident.pk}?ack={token}"


def is_link_of(incident: Incident, token: str) -> bool:
    """Whether a token of `link` belongs to an incident and has not expired."""
    try:
        signed = TimestampSigner(salt=_SALT).unsign(token, max_age=LINK_AGE)
    except BadSignature:
        return False
    return signed == str(incident.pk)


def body_of(incident: Incident, kind: str) -> str:
    """The text of a message: what, since when, how bad, and what to do."""
    began = datetime.fromtimestamp(incident.began, ZoneInfo("UTC"))
    lines = [
        {"opened": "", "worsened": "Worse: ", "resolved": "Resolved: "}[kind] + incident.headline,
        f"Since {began:%Y-%m-%d %H:%M:%S} UTC. Severity: {incident.severity}.",
    ]
    if incident.why:
        lines.append(
            f"First cause: {incident.service}/{incident.breaker}: {', '.join(incident.why)}."
        )
    others = set(incident.firings.values_list("service", "breaker"))
    others.discard((incident.service, incident.breaker))
    if others:
        shown = sorted(f"{service}/{breaker}" for service, breaker in others)
        lines.append(f"Symptoms: {', '.join(shown[:10])}" + (" …" if len(shown) > 10 else ""))
    if incident.advice and kind != "resolved":
        lines.append(f"What would help: {incident.advice}.")
    lines.append(link(incident))
    return "\n".join(lines)


@transaction.atomic
def replay(person: Person, pk: int, now: float | None = None) -> bool:
    """Deliver a message again that is finished, under the same key, by which a receiver knows it.
    Returns whether there was one.

    Raises:
        PermissionDenied: the person does not administer all services.
    """
    demand(person, ADMINISTER)
    now = time.time() if now is None else now
    rows = OutboxMessage.objects.filter(pk=pk).exclude(finished=None)
    done = rows.update(
        finished=None, outcome="", error="", attempts=0, claimed_until=0.0, due=now,
        only_unacknowledged=False,
    )  # fmt: skip
    if done:
        audit(person, "message replayed", message=OutboxMessage.objects.get(pk=pk).key)
    return bool(done)


def failing_channels() -> Iterable[Channel]:
    """The channels whose last delivery failed."""
    return Channel.objects.filter(enabled=True).exclude(failing_since=None)


def forget_old(now: float) -> int:
    """Delete finished messages and expired silences after a month."""
    old = now - 30 * 86_400
    deleted, _ = OutboxMessage.objects.filter(finished__lt=old).delete()
    return deleted + Silence.objects.filter(ends__lt=old).delete()[0]
