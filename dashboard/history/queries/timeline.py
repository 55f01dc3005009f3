"""What changed state, when and why."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import Any, Final

from django.db.models import F, Max, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from dashboard.fleet.frame_types import LastTransition
from dashboard.history.models import Transition

# So many changes at most make a strip; of a breaker that flaps more, the latest are shown.
_STRIP: Final = 5000
_DAY_S: Final = 86_400


class BadCursor(ValueError):
    """A cursor that `timeline` did not give."""


def timeline(
    *,
    service: str | None = None,
    breaker: str | None = None,
    instance: str | None = None,
    states: Iterable[str] = (),
    from_: float = 0.0,
    to: float = math.inf,
    after: str = "",
    limit: int = 50,
) -> dict[str, Any]:
    """The transitions of a range of Unix times, newest first, a page at a time.

    Each of `transitions` has `at` (Unix seconds), `service`, `breaker`, `instance`, `before`,
    `after`, `cause` and `window` (the breaker's figures then: `calls`, `failures`, `slow`,
    `consecutive_failures`, `failure_rate`, `slow_rate`). `states` keeps those that led to one of
    them. `next` is what to give as `after` for the next page, None on the last; pages neither
    repeat nor leave out anything while new transitions come in.

    Raises:
        BadCursor: `after` is none of ours.
    """
    rows = Transition.objects.filter(at__gte=from_)
    if math.isfinite(to):
        rows = rows.filter(at__lt=to)
    for name, value in (("service", service), ("breaker", breaker), ("instance", instance)):
        if value is not None:
            rows = rows.filter(**{name: value})
    if wanted := list(states):
        rows = rows.filter(after__in=wanted)
    if after:
        rows = _after(rows, after)
    found = list(rows[: limit + 1])
    page = found[:limit]
    more = len(found) > limit
    return {
        "transitions": [_view(each) for each in page],
        "next": _cursor(page[-1]) if more and page else None,
    }


def _view(row: Transition) -> dict[str, Any]:
    return {
        "at": row.at,
        "service": row.service,
        "breaker": row.breaker,
        "instance": row.instance,
        "before": row.before,
        "after": row.after,
        "cause": row.cause,
        "window": row.window,
    }


def _cursor(row: Transition) -> str:
    return f"{row.at!r}_{row.number}_{row.key}"


def _after(rows: QuerySet[Transition], cursor: str) -> QuerySet[Transition]:
    try:
        at_text, number_text, key_text = cursor.split("_")
        at, number, key = float(at_text), int(number_text), int(key_text)
        if not math.isfinite(at) or max(abs(number), abs(key)) >= 2**63:
            raise ValueError
    except ValueError:
        raise BadCursor(f"{cursor[:60]!r} is no cursor of ours; begin without one") from None
    # The first condition follows from the others; indexes and partitions are chosen by it.
    return rows.filter(
        Q(at__lte=at)
        & (Q(at__lt=at) | Q(at=at, number__lt=number) | Q(at=at, number=number, key__lt=key))
    )


def transitions(service: str, breaker: str, limit: int = 50) -> list[Transition]:
    """The latest transitions of a breaker, newest first."""
    return list(Transition.objects.filter(service=service, breaker=breaker)[:limit])


def states(service: str, breaker: str, since: float) -> dict[str, list[dict[str, Any]]]:
    """For each instance its changes of state since a time, oldest first, as `at` and `state`; the
    first entry says what it was in at that time, if that is known."""
    return {
        instance: [{"at": each["from"], "state": each["state"]} for each in pieces]
        for instance, pieces in strips(service, breaker, since, math.inf).items()
    }


def strips(service: str, breaker: str, from_: float, to: float) -> dict[str, list[dict[str, Any]]]:
    """For each instance the states it was in between two Unix times, oldest first.

    Each piece has `from`, `to`, `state` and `cause` (of the change that began it; empty for what it
    was in before the range). The pieces of an instance lie end to end; nothing is said of the time
    before the first that is known. An instance that has never changed its state is missing: it is
    in whatever it is in now. Of a breaker that flaps, the latest 5,000 changes.
    """
    rows = Transition.objects.filter(service=service, breaker=breaker, at__gte=from_)
    if math.isfinite(to):
        rows = rows.filter(at__lt=to)
    pieces: dict[str, list[dict[str, Any]]] = {}
    for row in _state_before(service, breaker, from_):
        pieces[row.instance] = [_piece(from_, to, row.after, "")]
    changes = sorted(rows[:_STRIP], key=lambda row: (row.at, row.number))
    for row in changes:
        entries = pieces.setdefault(row.instance, [])
        if not entries and row.at > from_:
            entries.append(_piece(from_, row.at, row.before, ""))
        elif entries:
            entries[-1]["to"] = row.at
        entries.append(_piece(row.at, to, row.after, row.cause))
    return pieces


def _piece(from_: float, to: float, state: str, cause: str) -> dict[str, Any]:
    return {"from": from_, "to": to, "state": state, "cause": cause}


def _state_before(service: str, breaker: str, at: float) -> list[Transition]:
    """The last transition of each instance before a time, within the month before it."""
    earlier = Transition.objects.filter(
        service=service, breaker=breaker, at__lt=at, at__gte=at - 30 * _DAY_S
    )
    last = earlier.order_by().values("instance").annotate(last=Max("at"))
    moments = {row["instance"]: row["last"] for row in last}
    rows = earlier.filter(at__in=set(moments.values())).order_by("at", "number")
    found = {row.instance: row for row in rows if moments[row.instance] == row.at}
    return list(found.values())


def last_transitions() -> dict[tuple[str, str], LastTransition]:
    """The last transition of each breaker, of the last day."""
    found: dict[tuple[str, str], LastTransition] = {}
    latest = Window(
        RowNumber(),
        partition_by=[F("service"), F("breaker")],
        order_by=[F("at").desc(), F("number").desc()],
    )
    recent = Transition.objects.filter(at__gte=time.time() - _DAY_S).annotate(place=latest)
    for row in recent.filter(place=1).order_by().iterator():
        found[row.service, row.breaker] = {
            "at": row.at,
            "before": row.before,
            "after": row.after,
            "cause": row.cause,
            "instance": row.instance,
        }
    return found
