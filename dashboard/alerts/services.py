"""Write operations of people: incidents, rules, channels, markers. Each function is one
transaction with authority and audit."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction

from dashboard.access.authority import demand
from dashboard.access.models import Person
from dashboard.access.roles import ADMINISTER, OPERATE
from dashboard.access.services import audit
from dashboard.alerts.first_cause import note
from dashboard.alerts.models import Channel, Firing, Incident, Marker, Rule
from dashboard.alerts.outbox import announce, enqueue
from dashboard.alerts.rule_checks import checked
from dashboard.alerts.rule_kinds import SEVERITIES

MAX_NOTE: Final = 2000
MARKER_KINDS: Final = ("deploy", "config", "incident", "other", "version", "policy")


def services_of(incident: Incident) -> set[str]:
    """The services that an incident touches."""
    return set(incident.firings.values_list("service", flat=True)) | {incident.service}


def _locked(incident_id: int, person: Person) -> Incident:
    incident = Incident.objects.select_for_update().get(pk=incident_id)
    demand(person, OPERATE, [incident.service])
    return incident


@transaction.atomic
def acknowledge(incident_id: int, person: Person, now: float | None = None) -> bool:
    """Acknowledge an incident. Returns whether it was not acknowledged before."""
    now = time.time() if now is None else now
    incident = _locked(incident_id, person)
    changed = Incident.objects.filter(pk=incident_id, acknowledged=None).update(
        acknowledged=now, acknowledged_by=person
    )
    if changed:
        note(incident, now, "acknowledged", "Acknowledged", person.get_username())
        _audit(person, "incident acknowledged", incident)
    return bool(changed)


@transaction.atomic
def assign(incident_id: int, person: Person, assignee: Person | None) -> None:
    """Assign an incident, or nobody."""
    incident = _locked(incident_id, person)
    incident.assignee = assignee
    incident.save(update_fields=["assignee"])
    name = assignee.get_username() if assignee else "nobody"
    note(incident, time.time(), "assigned", f"Assigned to {name}", person.get_username())
    _audit(person, "incident assigned", incident, to=name)


@transaction.atomic
def set_severity(incident_id: int, person: Person, severity: str) -> None:
    """Raise or lower the severity of an incident. Firings can still raise it.

    Raises:
        ValidationError: an unknown severity.
    """
    if severity not in SEVERITIES:
        known = ", ".join(SEVERITIES)
        raise ValidationError({"severity": f"{severity[:40]!r} is not known; use one of {known}."})
    incident = _locked(incident_id, person)
    before, incident.severity = incident.severity, severity
    if before == severity:
        return
    incident.save(update_fields=["severity"])
    text = f"Severity {before} → {severity}"
    note(incident, time.time(), "severity", text, person.get_username())
    _audit(person, "incident severity", incident, before=before, after=severity)


@transaction.atomic
def add_note(incident_id: int, person: Person, text: str) -> None:
    """Add a note to an incident's timeline.

    Raises:
        ValidationError: no text, or too much of it.
    """
    text = text.strip()
    if not 1 <= len(text) <= MAX_NOTE:
        raise ValidationError({"text": f"A note has 1 to {MAX_NOTE} characters, not {len(text)}."})
    incident = _locked(incident_id, person)
    note(incident, time.time(), "note", text, person.get_username())
    _audit(person, "incident note", incident)


@transaction.atomic
def resolve(incident_id: int, person: Person) -> None:
    """Close an incident, and say so to whom it was sent. Firings that last open a new one only when
    they fire again."""
    now = time.time()
    incident = _locked(incident_id, person)
    if incident.ended is None:
        incident.ended = now
        incident.save(update_fields=["ended"])
        note(incident, now, "resolved", "Resolved", person.get_username())
        announce(incident, "resolved", now)
        _audit(person, "incident resolved", incident)


@transaction.atomic
def merge(incident_id: int, person: Person, into_id: int) -> None:
    """Move all firings of an incident into another one, and close it.

    Raises:
        ValidationError: there is no such incident, or it is the same.
    """
    incident = _locked(incident_id, person)
    into = Incident.objects.filter(pk=into_id, merged_into=None).first()
    if into is None or into.pk == incident.pk:
        raise ValidationError({"into": f"There is no other incident {into_id}."})
    demand(person, OPERATE, [into.service])
    now = time.time()
    incident.firings.update(incident=into)
    incident.merged_into, incident.ended = into, incident.ended or now
    incident.save(update_fields=["merged_into", "ended"])
    into.began = min(into.began, incident.began)
    into.save(update_fields=["began"])
    for each, text in ((incident, f"Merged into #{into.pk}"), (into, f"Took over #{incident.pk}")):
        note(each, now, "merged", text, person.get_username())
    _audit(person, "incidents merged", incident, into=into.pk)


@transaction.atomic
def split(incident_id: int, person: Person, firing_ids: Collection[int]) -> Incident:
    """Move some firings of an incident into a new one.

    Raises:
        ValidationError: none, or all of its firings.
    """
    incident = _locked(incident_id, person)
    chosen = list(incident.firings.filter(pk__in=firing_ids))
    if not chosen or len(chosen) == incident.firings.count():
        raise ValidationError({"firings": "Choose some of the firings, but not all of them."})
    now = time.time()
    first = min(chosen, key=lambda each: each.began)
    new = Incident.objects.create(
        began=first.began, severity=incident.severity, service=first.service,
        breaker=first.breaker, headline=f"{first.breaker} failing for {first.service}",
    )  # fmt: skip
    Firing.objects.filter(pk__in=[each.pk for each in chosen]).update(incident=new)
    note(incident, now, "split", f"Split: #{new.pk}", person.get_username())
    note(new, now, "split", f"Split from #{incident.pk}", person.get_username())
    _audit(person, "incident split", incident, into=new.pk)
    return new


@transaction.atomic
def save_rule(person: Person, rule: Rule) -> Rule:
    """Store a rule.

    Raises:
        ValidationError: a field that could never be right, by name.
    """
    demand(person, ADMINISTER)
    checked(rule).full_clean()
    rule.save()
    audit(person, "alert rule saved", rule=rule.name, kind=rule.kind)
    return rule


@transaction.atomic
def delete_rule(person: Person, rule: Rule) -> None:
    """Delete a rule. What it has found stays in its incidents; what still fires ends."""
    demand(person, ADMINISTER)
    audit(person, "alert rule deleted", rule=rule.name)
    rule.delete()


@transaction.atomic
def test_channel(person: Person, channel: Channel) -> bool:
    """Queue a test message."""
    demand(person, ADMINISTER)
    now = time.time()
    audit(person, "channel tested", channel=channel.name)
    text = f"{person.get_username()} tests the channel {channel.name}. Nothing has happened."
    key = f"test:{channel.pk}:{now:.3f}"
    return bool(enqueue(channel, "test", "Test message", text, key=key, now=now, due=now))


@transaction.atomic
def add_marker(
    person: Person | None,
    *,
    text: str,
    kind: str = "deploy",
    service: str = "",
    version: str = "",
    url: str = "",
    at: float | None = None,
    key: str = "",
    by: str = "",
) -> tuple[Marker, bool]:
    """Add a marker, once for each key. Returns it and whether it is new.

    Raises:
        ValidationError: a field is wrong, by name.
    """
    if person is not None:
        demand(person, OPERATE, [service] if service else None)
    now = time.time()
    wrong: dict[str, str] = {}
    if not 1 <= len(text.strip()) <= 300:
        wrong["text"] = f"A marker has 1 to 300 characters of text, not {len(text.strip())}."
    if kind not in MARKER_KINDS:
        wrong["kind"] = f"{kind!r} is not a kind; use one of {', '.join(MARKER_KINDS)}."
    if at is not None and not now - 2 * 365 * 86_400 <= at <= now + 86_400:
        wrong["at"] = f"{at:g} is not a Unix time of the last two years."
    if len(service) > 120:
        wrong["service"] = "A service has a name of at most 120 characters."
    if len(version) > 120:
        wrong["version"] = "A version has at most 120 characters."
    if url and (not url.startswith(("https://", "http://")) or len(url) > 500):
        wrong["url"] = "Use an http or https address of at most 500 characters."
    if wrong:
        raise ValidationError(wrong)
    by = person.get_username() if person is not None else by
    at = now if at is None else at
    unique = key or f"{kind}:{service}:{version}:{text}:{at:.0f}"
    marker, made = Marker.objects.get_or_create(
        key=hashlib.sha256(unique.encode()).hexdigest(),
        defaults={
            "at": at, "kind": kind, "service": service, "version": version,
            "text": text.strip(), "url": url, "by": by[:150],
        },
    )  # fmt: skip
    if made:
        audit(person, "marker added", service=service, reason=marker.text, kind=kind)
    return marker, made


def _audit(person: Person, act: str, incident: Incident, **detail: Any) -> None:
    audit(
        person, act, service=incident.service, breaker=incident.breaker,
        incident=incident.pk, **detail,
    )  # fmt: skip
