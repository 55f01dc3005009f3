"""The outbox: which messages an incident causes, and their delivery."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.db import transaction
from django.db.models import F, QuerySet

from breakers import BreakerError, CircuitBreaker, CircuitBreakerOpen, Registry
from dashboard.access.authority import teams_of
from dashboard.alerts.channels import DeliveryError, deliver
from dashboard.alerts.first_cause import note
from dashboard.alerts.models import Channel, Incident, OutboxMessage, Route, Silence
from dashboard.alerts.rule_kinds import SEVERITIES

logger = logging.getLogger("switchgear.alerts")

# After so many failures a message is given up; with the pauses below that takes about a day.
MAX_ATTEMPTS: Final = 40
MAX_PAUSE_S: Final = 3600.0
# Longer than any delivery: another process takes the message over then.
CLAIM_S: Final = 60.0
BATCH: Final = 50
MAX_QUEUED: Final = 10_000
LINK_AGE: Final = timedelta(days=7)
_PARALLEL: Final = 8
_SALT: Final = "switchgear.incident.acknowledge"

_registry = Registry(max_breakers=2000)


def announce(incident: Incident, kind: str, now: float) -> int:
    """Queue the messages about an incident, one for each route; in the caller's transaction."""
    if is_silenced(incident, now):
        note(incident, now, "silenced", "No messages: a silence matches")
        return 0
    queued = 0
    for route in _routes():
        if not _wants(route, incident):
            continue
        if kind != "opened" and route.escalate_after_s:
            continue
        queued += _queue(route, incident, kind, now)
    return queued


def announce_to_new_routes(now: float) -> int:
    """Tell the open incidents to routes that have no message about them: a route that was added
    since, or one that wants an incident only since it has grown."""
    queued = 0
    routes = list(_routes())
    for incident in Incident.objects.filter(ended=None, merged_into=None):
        keys = OutboxMessage.objects.filter(incident=incident).values_list("key", flat=True)
        notified = {key.rpartition(":")[2] for key in keys}
        new = [each for each in routes if str(each.pk) not in notified and _wants(each, incident)]
        if new and not is_silenced(incident, now):
            queued += sum(_queue(each, incident, "opened", now) for each in new)
    return queued


def _routes() -> QuerySet[Route]:
    return Route.objects.filter(enabled=True, channel__enabled=True).select_related("channel")


def _queue(route: Route, incident: Incident, kind: str, now: float) -> int:
    due = now + route.escalate_after_s
    if incident.severity != "critical":
        due = after_quiet_hours(route, due)
    return enqueue(
        route.channel, kind, incident.headline, body_of(incident, kind),
        key=f"{incident.id}:{kind}:{incident.severity}:{route.id}", now=now, due=due,
        incident=incident, only_unacknowledged=route.escalate_after_s > 0,
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
    lines.append(link(incident))
    return "\n".join(lines)


def deliver_due(now: float | None = None) -> int:
    """Deliver the messages that are due. Returns how many were attempted.

    Any number of processes may call it: a message is claimed by compare-and-set, and a process that
    dies with a claim loses it after `CLAIM_S`.
    """
    now = time.time() if now is None else now
    due = OutboxMessage.objects.filter(finished=None, due__lte=now, claimed_until__lt=now)
    claimed = []
    for message in due.select_related("channel", "incident").order_by("due", "id")[:BATCH]:
        won = OutboxMessage.objects.filter(
            pk=message.pk, finished=None, claimed_until=message.claimed_until
        ).update(claimed_until=now + CLAIM_S)
        if won:
            claimed.append(message)
    if len(claimed) == 1:
        _attempt(claimed[0], now)
    elif claimed:
        with ThreadPoolExecutor(_PARALLEL, "alerts") as pool:
            results = list(pool.map(_send, claimed))
        for message, error in zip(claimed, results, strict=True):
            _record(message, error, now)
    return len(claimed)


def _attempt(message: OutboxMessage, now: float) -> None:
    _record(message, _send(message), now)


def _send(message: OutboxMessage) -> Exception | None:
    """Deliver one message through the channel's breaker. Needs no database."""
    if _is_moot(message):
        return None
    breaker = _breaker(message.channel_id)
    try:
        breaker.call(deliver, message)
    except (DeliveryError, BreakerError) as error:
        return error
    except Exception as error:  # a library's defect must not stop the other messages
        logger.exception("delivery of %s failed", message.key)
        return error
    return None


def _breaker(channel_id: int) -> CircuitBreaker:
    name = f"channel:{channel_id}"
    return _registry.get_or_create(
        name,
        lambda: CircuitBreaker(
            name=name, failure_threshold=3, timeout_duration=15, success_threshold=1, registry=None
        ),
    )


def _is_moot(message: OutboxMessage) -> bool:
    incident = message.incident
    return bool(
        message.only_unacknowledged
        and incident is not None
        and (incident.acknowledged is not None or incident.ended is not None)
    )


@transaction.atomic
def _record(message: OutboxMessage, error: Exception | None, now: float) -> None:
    row = OutboxMessage.objects.filter(pk=message.pk, finished=None)
    if error is None:
        outcome = "not needed" if _is_moot(message) else "delivered"
        row.update(finished=now, outcome=outcome, error="", attempts=F("attempts") + 1)
        if outcome == "delivered":
            Channel.objects.filter(pk=message.channel_id).exclude(failing_since=None).update(
                failing_since=None, last_error=""
            )
        return
    text = str(error)[:300]
    refused = isinstance(error, CircuitBreakerOpen)
    attempts = message.attempts + (0 if refused else 1)
    pause = min(MAX_PAUSE_S, 2.0 ** min(attempts, 12))
    if isinstance(error, CircuitBreakerOpen):
        pause = min(pause, max(1.0, error.retry_after_s or 1.0))
    given_up = attempts >= MAX_ATTEMPTS
    row.update(
        attempts=attempts, error=text, due=now + pause, claimed_until=0.0,
        finished=now if given_up else None, outcome="given up" if given_up else "",
    )  # fmt: skip
    if not refused:
        Channel.objects.filter(pk=message.channel_id, failing_since=None).update(failing_since=now)
        Channel.objects.filter(pk=message.channel_id).update(last_error=text)


def failing_channels() -> Iterable[Channel]:
    """The channels whose last delivery failed."""
    return Channel.objects.filter(enabled=True).exclude(failing_since=None)


def forget_old(now: float) -> int:
    """Delete finished messages and expired silences after a month."""
    old = now - 30 * 86_400
    deleted, _ = OutboxMessage.objects.filter(finished__lt=old).delete()
    return deleted + Silence.objects.filter(ends__lt=old).delete()[0]
