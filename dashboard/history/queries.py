"""The series behind the charts."""

import time
from typing import Any

from breakers.histogram import Histogram
from breakers.records import OUTCOMES
from dashboard.fleet.batch import BUCKET_S
from dashboard.fleet.views import LastTransition
from dashboard.history.models import Rollup, Transition
from dashboard.history.services import sketch_of

_PERCENTILES = {"p50_ms": 0.5, "p90_ms": 0.9, "p95_ms": 0.95, "p99_ms": 0.99}


def series(service: str, breaker: str, span_s: int, now: float | None = None) -> dict[str, Any]:
    """Columns of one breaker's last `span_s` seconds, a point every ten seconds.

    `t` is the Unix time at which each bucket starts; `rate` the calls a second by outcome, 0 where
    nothing was reported; percentiles are None where no call ran. The bucket that is still filling
    is left out.
    """
    now = time.time() if now is None else now
    last = int(now // BUCKET_S) * BUCKET_S
    first = last - span_s // BUCKET_S * BUCKET_S
    found = Rollup.objects.filter(
        service=service, breaker=breaker, start__gte=first, start__lt=last
    )
    rows = {row.start: row for row in found}
    starts = range(first, last, BUCKET_S)
    sketches = [sketch_of(rows[at]) if at in rows else Histogram() for at in starts]
    return {
        "bucket_s": BUCKET_S,
        "from": first,
        "to": last,
        "t": list(starts),
        "rate": {
            name: [getattr(rows[at], name) / BUCKET_S if at in rows else 0 for at in starts]
            for name in OUTCOMES
        },
        "latency": {
            name: [_ms(sketch.quantile(q)) for sketch in sketches]
            for name, q in _PERCENTILES.items()
        },
        "states": states(service, breaker, first),
    }


def states(service: str, breaker: str, since: float) -> dict[str, list[dict[str, Any]]]:
    """For each instance its changes of state since a time, oldest first; the first entry says what
    it was in before, if that is known."""
    changes: dict[str, list[dict[str, Any]]] = {}
    rows = Transition.objects.filter(service=service, breaker=breaker, at__gte=since)
    for row in rows.order_by("at", "number"):
        entries = changes.setdefault(row.instance, [])
        if not entries:
            entries.append({"at": since, "state": row.before})
        entries.append({"at": row.at, "state": row.after})
    return changes


def transitions(service: str, breaker: str, limit: int = 50) -> list[Transition]:
    """The latest transitions of a breaker, newest first."""
    return list(Transition.objects.filter(service=service, breaker=breaker)[:limit])


def last_transitions() -> dict[tuple[str, str], LastTransition]:
    """The last transition of each breaker."""
    found: dict[tuple[str, str], LastTransition] = {}
    recent = Transition.objects.filter(at__gte=time.time() - 86_400).order_by("at")
    for row in recent.iterator():
        found[row.service, row.breaker] = {
            "at": row.at,
            "before": row.before,
            "after": row.after,
            "cause": row.cause,
            "instance": row.instance,
        }
    return found


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
