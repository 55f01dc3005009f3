"""Asks for, runs and cancels what-ifs; saves incidents and replays them against candidates."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from dashboard.access.authority import demand
from dashboard.access.models import Person
from dashboard.access.roles import CHANGE_POLICIES
from dashboard.access.services import audit
from dashboard.fleet.snapshot.reads import breaker_view
from dashboard.history import queries as history
from dashboard.history import recordings
from dashboard.policies import queries
from dashboard.policies.fleet_rules import quorum_rule
from dashboard.policies.models import Incident, Replay
from dashboard.policies.services import check
from dashboard.policies.whatif.history import ASSUMPTIONS, Cancelled, Outcome, replay
from dashboard.policies.whatif.openings import Strips, place_outages
from dashboard.policies.whatif.results import exact, policy_of, sentence
from dashboard.policies.whatif.slots import Slot

SOURCES: Final = (Replay.HISTORY, Replay.RECORDINGS)
MAX_RANGE_S: Final = 31 * 86_400.0
MAX_INCIDENT_SLOTS: Final = 8640
MAX_INCIDENTS: Final = 500
_MAX_QUEUED: Final = 5
_KEPT: Final = 200
_RUNS_FOR_AT_MOST: Final = timedelta(minutes=15)
_LOOK_EACH_S: Final = 0.2
# A candidate is worse when it lets through or loses more than this share more calls.
WORSE_BY: Final = 0.01


def ask(
    person: Person,
    service: str,
    breaker: str,
    fields: Mapping[str, Any],
    begins: float,
    ends: float,
    source: str = Replay.HISTORY,
) -> Replay:
    """Queue a what-if, of history or of the recordings in the range.

    Raises:
        ValidationError: at the field that is wrong, or a range that cannot be replayed.
    """
    demand(person, CHANGE_POLICIES, [service])
    _check_range(begins, ends)
    if source not in SOURCES:
        raise ValidationError({"source": f"{source[:40]!r}; it must be {' or '.join(SOURCES)}."})
    if (
        source == Replay.RECORDINGS
        and not recordings.ordered(service, breaker, begins, ends).exists()
    ):
        raise ValidationError(
            {"source": "No calls were recorded in this range: record the breaker first."}
        )
    wanted = check(fields, queries.effective(service, breaker, {}))
    queued = Replay.objects.filter(person=person, state__in=(Replay.QUEUED, Replay.RUNNING))
    if queued.count() >= _MAX_QUEUED:
        raise ValidationError(f"{_MAX_QUEUED} of your what-ifs are not done: cancel one first.")
    with transaction.atomic():
        made = Replay.objects.create(
            source=source,
            service=service,
            breaker=breaker,
            fields=wanted,
            begins=begins,
            ends=ends,
            instances=_instances(service, breaker),
            person=person,
        )
        old = list(Replay.objects.values_list("pk", flat=True)[_KEPT:])
        if old:
            Replay.objects.filter(pk__in=old).delete()
    return made


def cancel(person: Person, pk: int) -> bool:
    """Cancel a what-if of one's own that is not done; whether there was one."""
    rows = Replay.objects.filter(pk=pk, person=person)
    return bool(
        rows.filter(state__in=(Replay.QUEUED, Replay.RUNNING)).update(state=Replay.CANCELLED)
    )


def run_queued() -> int:
    """Run the what-ifs that are queued; returns how many. One whose worker has died is failed."""
    done = 0
    old = timezone.now() - _RUNS_FOR_AT_MOST
    lost = Replay.objects.filter(state=Replay.RUNNING, created__lt=old)
    lost.update(state=Replay.FAILED, error="The process that ran it has ended; ask again.")
    for pk in list(
        Replay.objects.filter(state=Replay.QUEUED).order_by("created").values_list("pk", flat=True)
    ):
        # Compare-and-set: of two workers one takes it.
        taken = Replay.objects.filter(pk=pk, state=Replay.QUEUED).update(state=Replay.RUNNING)
        if taken:
            run(Replay.objects.get(pk=pk))
            done += 1
    return done


def run(asked: Replay) -> None:
    """Run one what-if to its end and keep what came of it."""
    looked = 0.0

    def progress(share: float) -> None:
        nonlocal looked
        now = time.monotonic()
        if now - looked < _LOOK_EACH_S:
            return
        looked = now
        rows = Replay.objects.filter(pk=asked.pk, state=Replay.RUNNING)
        if not rows.update(progress=round(share / 2, 3)):
            raise Cancelled

    running = Replay.objects.filter(pk=asked.pk, state=Replay.RUNNING)
    try:
        scope = (asked.service, asked.breaker, asked.fields, asked.begins, asked.ends)
        if asked.source == Replay.RECORDINGS:
            result = exact(*scope, progress)
        else:
            result = what_if(*scope, asked.instances, progress)
    except Cancelled:
        return
    except Exception as error:
        running.update(state=Replay.FAILED, error=str(error)[:500])
        raise
    running.update(state=Replay.DONE, progress=1.0, result=result)


def what_if(
    service: str,
    breaker: str,
    fields: Mapping[str, Any],
    begins: float,
    ends: float,
    instances: int,
    progress: Any = lambda share: None,
) -> dict[str, Any]:
    """Replay a range under the policy in force and under a candidate.

    `actual` has what happened: calls, refusals, failures and the states of the instances.
    """
    in_force = queries.effective(service, breaker)
    candidate = queries.effective(service, breaker, fields)
    strips = history.strips(service, breaker, begins, ends)
    slots = slots_of(service, breaker, begins, ends)
    slots = place_outages(slots, pieces_of(strips), policy_of(in_force), instances)
    before = _replayed(slots, in_force, instances, progress)
    after = _replayed(slots, candidate, instances, lambda share: progress(1 + share))
    return {
        "actual": {
            "calls": sum(each.ran + each.rejected for each in slots),
            "rejected": sum(each.rejected for each in slots),
            "failures": sum(each.failed for each in slots),
            "strips": {
                name: [[piece["from"], piece["to"], piece["state"]] for piece in pieces]
                for name, pieces in strips.items()
            },
        },
        "in_force": before.as_dict(),
        "candidate": after.as_dict(),
        "instances": instances,
        "step_s": slots[0].seconds if slots else 10.0,
        "assumptions": list(ASSUMPTIONS),
        "sentence": sentence(before, after),
    }


def _replayed(
    slots: list[Slot],
    values: Mapping[str, Any],
    instances: int,
    progress: Callable[[float], None] = lambda share: None,
) -> Outcome:
    return replay(slots, policy_of(values), instances, progress, quorum_rule(values))


def slots_of(service: str, breaker: str, begins: float, ends: float) -> list[Slot]:
    """The traffic of a range, with an empty slot where nothing was called."""
    step, rows = history.rollups(service, breaker, begins, ends)
    found: list[Slot] = []
    for row in rows:
        found.append(
            Slot(
                at=float(row["start"]),
                seconds=float(step),
                **{
                    name: row[name]
                    for name in ("success", "failure", "timeout", "ignored", "rejected", "buckets")
                },
            )
        )
    return found


def pieces_of(strips: Mapping[str, list[dict[str, Any]]]) -> Strips:
    """The states of each instance as `place_outages` takes them."""
    return {
        name: [(piece["from"], piece["state"]) for piece in pieces]
        for name, pieces in strips.items()
    }


def save_incident(
    person: Person, name: str, service: str, breaker: str, begins: float, ends: float
) -> Incident:
    """Keep a range of traffic by name, to be replayed against every candidate.

    Raises:
        ValidationError: no name or one that is taken, a bad range, or one without traffic.
    """
    demand(person, CHANGE_POLICIES, [service])
    name = " ".join(name.split())
    if not 1 <= len(name) <= 120 or not name.isprintable():
        raise ValidationError({"name": "An incident has a name of 1 to 120 printable characters."})
    if Incident.objects.filter(name=name).exists():
        raise ValidationError({"name": f"There is an incident named {name!r}."})
    if Incident.objects.count() >= MAX_INCIDENTS:
        raise ValidationError({"name": f"At most {MAX_INCIDENTS} incidents; delete one first."})
    _check_range(begins, ends)
    slots = slots_of(service, breaker, begins, ends)
    if not slots:
        raise ValidationError({"range": "There is no traffic in this range."})
    in_force, instances = queries.effective(service, breaker), _instances(service, breaker)
    strips = pieces_of(history.strips(service, breaker, begins, ends))
    slots = place_outages(slots, strips, policy_of(in_force), instances)
    if len(slots) > MAX_INCIDENT_SLOTS:
        raise ValidationError(
            {"range": f"{len(slots)} rollups; an incident has at most {MAX_INCIDENT_SLOTS}."}
        )
    with transaction.atomic():
        made = Incident.objects.create(
            name=name,
            service=service,
            breaker=breaker,
            begins=begins,
            ends=ends,
            traffic={"instances": instances, "slots": [_row(s) for s in slots]},
            policy=in_force,
            by=person.get_username(),
        )
        audit(person, "incident saved", service=service, breaker=breaker, name=name)
    return made


def judge_incidents(
    service: str, breaker: str, candidate: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Replay the saved incidents of a breaker under the policy in force and a candidate, both
    complete policies. The measure is the calls that fail or are lost: failures that are let through
    plus successes that are refused or cut by the timeout."""
    in_force = queries.effective(service, breaker)
    found = []
    for row in Incident.objects.filter(service=service, breaker=breaker):
        slots = [_slot(each) for each in row.traffic["slots"]]
        before = _replayed(slots, in_force, row.traffic["instances"])
        after = _replayed(slots, candidate, row.traffic["instances"])
        harm_before = before.failures + before.successes_lost
        harm_after = after.failures + after.successes_lost
        found.append(
            {
                "name": row.name,
                "service": service,
                "breaker": breaker,
                "is_worse": harm_after > harm_before * (1 + WORSE_BY),
                "before": harm_before,
                "after": harm_after,
                "sentence": f"{row.name}: {harm_after:,} calls fail or are lost, "
                f"{harm_before:,} under the policy in force. {sentence(before, after)}",
            }
        )
    return found


def _row(slot: Slot) -> list[Any]:
    counts = [slot.success, slot.failure, slot.timeout, slot.ignored, slot.rejected]
    buckets = {str(k): n for k, n in slot.buckets.items()}
    return [slot.at, slot.seconds, *counts, buckets, slot.outage_s]


def _slot(row: list[Any]) -> Slot:
    # Incidents that were saved before outages were placed have one value less.
    at, seconds, success, failure, timeout, ignored, rejected, buckets, *outage_s = row
    sketch = {int(k): n for k, n in buckets.items()}
    return Slot(at, seconds, success, failure, timeout, ignored, rejected, sketch, *outage_s)


def _check_range(begins: float, ends: float) -> None:
    if not (math.isfinite(begins) and math.isfinite(ends) and begins < ends):
        raise ValidationError({"range": "The range ends before it begins."})
    if ends - begins > MAX_RANGE_S:
        raise ValidationError(
            {"range": f"{(ends - begins) / 86_400:.4g} days; at most {MAX_RANGE_S / 86_400:.0f}."}
        )


def _instances(service: str, breaker: str) -> int:
    view = breaker_view(service, breaker)
    return max(1, len(view["instances"])) if view is not None else 1
