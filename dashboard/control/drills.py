"""Drills: faults injected into the calls of one breaker for a time, saved under a name and run.

The agents of a service inject a fault only where its code allows that, and each ends it by itself.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from breakers.protocol import messages as wire
from breakers.protocol import names
from dashboard.access.authority import demand
from dashboard.access.models import Person
from dashboard.access.roles import OPERATE
from dashboard.access.services import audit
from dashboard.common.batch_deletion import sweep
from dashboard.control.models import Drill, DrillAck, DrillRun
from dashboard.control.validation import check_names, check_reason
from dashboard.fleet.services import bump_revision

KINDS: Final = {"latency": "Latency", "error": "Errors", "corrupt": "Corrupt results"}
MAX_DRILLS: Final = 500
_LEAST_S: Final = 5.0
_KEPT_FOR: Final = timedelta(days=365)


def save(
    person: Person,
    name: str,
    service: str,
    breaker: str,
    kind: str,
    *,
    share: float = 1.0,
    latency_s: float = 0.0,
    seconds: float = 60.0,
    instances: Sequence[str] | None = None,
) -> Drill:
    """Save a drill under a name, in the place of one that has it.

    Raises:
        PermissionDenied: the person may not operate the service.
        ValidationError: by field; then nothing was saved.
    """
    demand(person, OPERATE, [service])
    check_names(service, breaker)
    _check(name, kind, share, latency_s, seconds, instances)
    with transaction.atomic():
        held = Drill.objects.select_for_update().filter(name=name).first()
        if held is not None:
            demand(person, OPERATE, [held.service])
        elif Drill.objects.count() >= MAX_DRILLS:
            many = f"There are {MAX_DRILLS} drills; delete one first."
            raise ValidationError({"name": many})
        made, _ = Drill.objects.update_or_create(
            name=name,
            defaults={
                "service": service,
                "breaker": breaker,
                "kind": kind,
                "share": share,
                "latency_s": latency_s,
                "seconds": seconds,
                "instances": list(instances) if instances else None,
                "by": person.get_username(),
            },
        )
        audit(person, "drill saved", service=service, breaker=breaker, drill=name)
    return made


def forget(person: Person, drill: Drill) -> None:
    """Delete a saved drill; its runs stay."""
    demand(person, OPERATE, [drill.service])
    with transaction.atomic():
        audit(
            person, "drill deleted", service=drill.service, breaker=drill.breaker, drill=drill.name
        )
        drill.delete()


def run(person: Person, drill: Drill, reason: str) -> DrillRun:
    """Inject the fault of a drill from now on, for its time.

    Raises:
        PermissionDenied: the person may not operate the service.
        ValidationError: by field; then nothing was done.
    """
    demand(person, OPERATE, [drill.service])
    reason = reason.strip()
    check_reason(reason)
    with transaction.atomic():
        revision = bump_revision(drill.service)  # holds the row of the service: runs take turns
        held = list(standing(drill.service))
        if any(each.breaker == drill.breaker for each in held):
            wrong = f"A drill at {drill.breaker} of {drill.service} is under way; stop it first."
            raise ValidationError({"drill": wrong})
        if len(held) >= wire.MAX_FAULTS:
            many = f"{wire.MAX_FAULTS} drills of {drill.service} are under way; stop one first."
            raise ValidationError({"drill": many})
        made = DrillRun.objects.create(
            id=secrets.token_hex(8),
            name=drill.name,
            service=drill.service,
            breaker=drill.breaker,
            kind=drill.kind,
            share=drill.share,
            latency_s=drill.latency_s,
            instances=drill.instances,
            reason=reason,
            by=person.get_username(),
            expires=timezone.now() + timedelta(seconds=drill.seconds),
        )
        audit(
            person,
            "drill",
            service=drill.service,
            breaker=drill.breaker,
            reason=reason,
            drill=drill.name,
            run=made.id,
            kind=drill.kind,
            share=drill.share,
            seconds=drill.seconds,
            revision=revision,
        )
    return made


def stop(person: Person, id: str) -> bool:
    """Stop a run before its time; whether it was under way."""
    row = DrillRun.objects.filter(pk=id).first()
    if row is None:
        return False
    demand(person, OPERATE, [row.service])
    with transaction.atomic():
        now = timezone.now()
        under_way = DrillRun.objects.filter(pk=id, expires__gt=now)
        if not under_way.update(expires=now, ended_by=person.get_username()):
            return False
        bump_revision(row.service)
        audit(person, "drill stopped", service=row.service, breaker=row.breaker, run=id)
    return True


def standing(service: str | None = None) -> QuerySet[DrillRun]:
    """The runs under way, of a service or of all."""
    rows = DrillRun.objects.filter(expires__gt=timezone.now())
    return rows if service is None else rows.filter(service=service)


def orders(service: str) -> list[wire.FaultOrder]:
    """The faults of the runs under way, as agents get them."""
    now = timezone.now()
    return [
        wire.FaultOrder(
            row.id,
            row.breaker,
            row.kind,
            (row.expires - now).total_seconds(),
            row.share,
            row.latency_s,
            row.instances,
        )
        for row in standing(service)[: wire.MAX_FAULTS]
    ]


def record_acks(acks: Sequence[tuple[str, wire.Ack]]) -> None:
    """Keep what instances answered to each run; the latest answer of each."""
    answers = {
        (item.id, ack.instance): (service, item.status[:20], item.reason)
        for service, ack in acks
        for item in ack.items
        if item.kind == "fault" and item.id
    }
    if not answers:
        return
    runs = DrillRun.objects.filter(pk__in={id for id, _ in answers})
    known = set(runs.values_list("service", "id"))
    DrillAck.objects.bulk_create(
        [
            DrillAck(run_id=id, instance=instance, status=status, reason=reason)
            for (id, instance), (service, status, reason) in sorted(answers.items())
            if (service, id) in known
        ],
        update_conflicts=True,
        unique_fields=["run", "instance"],
        update_fields=["status", "reason"],
    )


def forget_old() -> int:
    """Delete runs of a year ago; the audit trail keeps who gave them."""
    return sweep(DrillRun.objects.filter(expires__lt=timezone.now() - _KEPT_FOR))


def _check(
    name: str,
    kind: str,
    share: float,
    latency_s: float,
    seconds: float,
    instances: Sequence[str] | None,
) -> None:
    errors = {}
    if wrong := names.problem(name):
        errors["name"] = f"{name[:120]!a} cannot be the name of a drill: {wrong}."
    if kind not in KINDS:
        errors["kind"] = f"{kind[:40]!r} is no kind of fault; there are {', '.join(KINDS)}."
    if not 0 < share <= 1:
        errors["share"] = f"{share:g} is no share of the calls; above 0 and up to 1 (100 %)."
    if not (math.isfinite(latency_s) and 0 <= latency_s <= wire.MAX_LATENCY_S):
        errors["latency_s"] = f"{latency_s:g} s; a latency is 0 to {wire.MAX_LATENCY_S:g} s."
    elif kind == "latency" and latency_s == 0:
        errors["latency_s"] = "Say how long calls are held, in seconds."
    if not _LEAST_S <= seconds <= wire.MAX_FAULT_S:
        errors["seconds"] = f"{seconds:g} s; a drill takes {_LEAST_S:g} s to one hour."
    if instances and any(names.problem(each) for each in instances[:10_000]):
        errors["instances"] = "Name instances, or leave it empty for all of them."
    if errors:
        raise ValidationError(errors)
