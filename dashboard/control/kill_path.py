"""The drill of the kill path: a harmless override that shows how soon each instance would obey.

The breaker with the most instances, and of those the one with the fewest calls, is set to metrics
only for some seconds: it goes on letting every call pass, and reports what it would do. A service
is drilled once a day where SWITCHGEAR_DAILY_DRILL is set, and whenever an operator asks for it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from dashboard.access.authority import demand
from dashboard.access.models import Person
from dashboard.access.roles import OPERATE
from dashboard.access.services import audit
from dashboard.control.models import Override
from dashboard.fleet.services import bump_revision
from dashboard.fleet.snapshot.reads import service_names, snapshot

# Whose overrides they are. No person can have this name: names of people have no spaces.
BY: Final = "kill path drill"
LASTS_S: Final = 15.0
EVERY: Final = timedelta(days=1)


@dataclass(frozen=True)
class KillPath:
    """How the last drill of a service went. Times are seconds from the order to the answer."""

    override: Override
    obeyed: dict[str, float]
    refused: dict[str, str]
    silent: list[str]

    @property
    def half_s(self) -> float | None:
        """The time in which half of those that obeyed did."""
        return round(median(self.obeyed.values()), 3) if self.obeyed else None

    @property
    def all_s(self) -> float | None:
        """The time in which the last of them did."""
        return round(max(self.obeyed.values()), 3) if self.obeyed else None

    @property
    def waits(self) -> bool:
        """Whether instances that have not answered may still do so."""
        return bool(self.silent) and timezone.now() < self.override.expires

    @property
    def would_not(self) -> list[str]:
        """The instances that would not obey: they refused, or did not answer."""
        return sorted([*self.refused, *self.silent])


def drill(service: str, person: Person | None = None) -> Override:
    """Drill a service now.

    Raises:
        PermissionDenied: the person may not operate the service.
        ValidationError: it has no breaker that can be drilled at present.
    """
    if person is not None:
        demand(person, OPERATE, [service])
    chosen = _choose(service)
    if chosen is None:
        wrong = "No breaker of it is closed, without an override, on an instance that reports."
        raise ValidationError({"service": wrong})
    breaker, instances = chosen
    now = timezone.now()
    try:
        with transaction.atomic():
            made = Override.objects.create(
                id=secrets.token_hex(8),
                service=service,
                breaker=breaker,
                instances=instances,
                state="metrics_only",
                reason="a drill: how soon would each instance obey?",
                author=person,
                by=BY,
                revision=bump_revision(service),
                expires=now + timedelta(seconds=LASTS_S),
            )
            audit(
                person, "kill path drill", service=service, breaker=breaker,
                override=made.id, instances=instances,
            )  # fmt: skip
    except IntegrityError:
        wrong = f"Somebody has forced {breaker} at this moment; try again."
        raise ValidationError({"service": wrong}) from None
    return made


def drill_due() -> int:
    """Drill each service that was not drilled for a day; returns how many were."""
    since = timezone.now() - EVERY
    recent = Override.objects.filter(by=BY, created__gt=since)
    drilled = set(recent.values_list("service", flat=True))
    done = 0
    for name in service_names():
        if name in drilled:
            continue
        try:
            drill(name)
        except ValidationError:
            continue  # it is tried again in an hour
        done += 1
    return done


def last(service: str) -> KillPath | None:
    """How the last drill of a service went; None if there was none."""
    return lasts([service]).get(service)


def lasts(services: Sequence[str]) -> dict[str, KillPath]:
    """How the last drill of each service went that had one."""
    drills = Override.objects.filter(by=BY, service__in=services).order_by()
    newest = dict(drills.values_list("service").annotate(newest=Max("created")))
    rows = drills.filter(created__in=newest.values()).prefetch_related("acks")
    return {row.service: _outcome(row) for row in rows if row.created == newest[row.service]}


def _outcome(row: Override) -> KillPath:
    obeyed, refused = {}, {}
    for ack in row.acks.all():
        if ack.status == "applied":
            obeyed[ack.instance] = round(max(0.0, (ack.first - row.created).total_seconds()), 3)
        else:
            refused[ack.instance] = ack.reason
    silent = sorted(set(row.instances or ()) - obeyed.keys() - refused.keys())
    return KillPath(row, obeyed, refused, silent)


def _choose(service: str) -> tuple[str, list[str]] | None:
    candidates = []
    for each in _breakers(service):
        live = [at["id"] for at in each["instances"] if not at["stale"]]
        if live and each["state"] == "closed" and each["override"] is None:
            candidates.append((-len(live), each["rate"], each["name"], live))
    if not candidates:
        return None
    _, _, name, live = min(candidates)
    return name, live[:10_000]


def _breakers(service: str) -> list[Mapping[str, Any]]:
    for each in snapshot(service)["services"]:
        if each["name"] == service:
            found: list[Mapping[str, Any]] = each["breakers"]
            return found
    return []
