"""What an act does in one service, inside the transaction that `bulk` opens."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone

from dashboard.access.models import Person
from dashboard.access.services import audit
from dashboard.control.models import Override

AUTOMATIC: Final = "automatic"
UNDO: Final = "undo"
# What would end at once again is not brought back.
_WORTH_BRINGING_BACK: Final = timedelta(seconds=2)


@dataclass(frozen=True)
class Target:
    """A breaker of a service, on these instances or on all."""

    service: str
    breaker: str
    instances: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Change:
    """What happened to a breaker: ids of the override made and of the one that ended for it."""

    breaker: str
    made: str | None
    ended: str | None


@dataclass
class Step:
    """One service's part of an act under way. `kept` gathers the breakers left as they were."""

    person: Person
    act: str
    state: str
    reason: str
    service: str
    revision: int
    kept: list[tuple[str, str]] = field(default_factory=list)

    def make(
        self, target: Target, state: str, reason: str, until: datetime, share: float | None = None
    ) -> Override:
        """An override by this step's person, not saved yet."""
        return Override(
            id=secrets.token_hex(8),
            service=self.service,
            breaker=target.breaker,
            instances=list(target.instances) if target.instances else None,
            state=state,
            share=share,
            reason=reason,
            author=self.person,
            by=self.person.get_username(),
            revision=self.revision,
            expires=until,
        )

    def end(self, standing: Iterable[Override], why: str) -> None:
        """End overrides."""
        Override.objects.filter(pk__in=[row.pk for row in standing]).update(
            ended=timezone.now(), ended_by=self.person.get_username(), ended_why=why[:500]
        )

    def note(self, breaker: str, **detail: Any) -> None:
        """Write it down in the audit trail."""
        audit(
            self.person,
            self.state,
            service=self.service,
            breaker=breaker,
            reason=self.reason,
            part_of=self.act,
            **detail,
        )


def force(
    step: Step, of: Sequence[Target], state: str, until: datetime, share: float | None = None
) -> list[Change]:
    """Make an override of each breaker; those that stood end."""
    standing = _standing(step.service, [each.breaker for each in of])
    step.end(standing.values(), f"replaced: {step.reason}")
    made = Override.objects.bulk_create(
        step.make(each, state, step.reason, until, share) for each in of
    )
    told = {} if share is None else {"share": share}
    for row in made:
        step.note(
            row.breaker,
            override=row.id,
            until=until.isoformat(),
            instances=row.instances,
            **told,
        )
    return [Change(row.breaker, row.id, _id(standing.get(row.breaker))) for row in made]


def release(step: Step, of: Sequence[Target]) -> list[Change]:
    """End the overrides that stand."""
    standing = _standing(step.service, [each.breaker for each in of])
    step.end(standing.values(), step.reason)
    for each in of:
        if each.breaker in standing:
            step.note(each.breaker)
        else:
            step.kept.append((each.breaker, "automatic already"))
    return [Change(row.breaker, None, row.id) for row in standing.values()]


def put_back(step: Step, changes: Sequence[Change]) -> list[Change]:
    """Undo changes, each only where it is still what stands: bring back what ended for it, for the
    time that it had left."""
    standing = _standing(step.service, [each.breaker for each in changes])
    before = Override.objects.in_bulk([each.ended for each in changes if each.ended])
    undone = []
    for each in changes:
        now = standing.get(each.breaker)
        if _id(now) != each.made:
            why = f"{now.by} has since changed it" if now else "over already"
            step.kept.append((each.breaker, why))
            continue
        if now is not None:
            step.end([now], step.reason)
        again = before.get(each.ended) if each.ended else None
        made = None
        if again is not None and again.expires - timezone.now() > _WORTH_BRINGING_BACK:
            target = Target(step.service, each.breaker, tuple(again.instances or ()) or None)
            made = step.make(target, again.state, again.reason, again.expires, again.share)
            made.save(force_insert=True)
        step.note(each.breaker, override=_id(made))
        undone.append(Change(each.breaker, _id(made), each.made))
    return undone


def _standing(service: str, breakers: Sequence[str]) -> dict[str, Override]:
    rows = Override.objects.filter(service=service, breaker__in=breakers, ended=None)
    return {row.breaker: row for row in rows}


def _id(row: Override | None) -> str | None:
    return row.id if row else None
