"""Writes of this room."""

import time
from functools import reduce
from operator import or_

from django.db.models import Q

from breakers.histogram import Histogram
from breakers.records import OUTCOMES
from dashboard.fleet.batch import Batch
from dashboard.history.models import Rollup, Transition

ROLLUPS_KEPT_S = 86_400
TRANSITIONS_KEPT_S = 90 * 86_400
_CHUNK = 200


def absorb(batch: Batch) -> None:
    """Add a checkpoint to history, inside the caller's transaction."""
    keys = list(batch.deltas)
    for i in range(0, len(keys), _CHUNK):
        _absorb_rollups(batch, keys[i : i + _CHUNK])
    Transition.objects.bulk_create(
        [
            Transition(
                service=each.service,
                breaker=each.breaker,
                instance=each.instance,
                boot=each.boot,
                number=each.id,
                at=each.at,
                before=each.before,
                after=each.after,
                cause=each.cause,
                window=each.window,
            )
            for each in batch.transitions
        ],
        ignore_conflicts=True,
    )


def _absorb_rollups(batch: Batch, keys: list[tuple[str, str, int]]) -> None:
    wanted = reduce(or_, (Q(service=s, breaker=b, start=at) for s, b, at in keys))
    rows = {(row.service, row.breaker, row.start): row for row in Rollup.objects.filter(wanted)}
    for key in keys:
        row = rows.get(key)
        if row is None:
            row = rows[key] = Rollup(service=key[0], breaker=key[1], start=key[2])
        delta = batch.deltas[key]
        for name, n in delta.counts.items():
            setattr(row, name, getattr(row, name) + n)
        sketch = sketch_of(row)
        sketch.merge(delta.latencies.buckets, delta.latencies.sum_s)
        row.buckets, row.sum_s = sketch.buckets, sketch.sum_s
    Rollup.objects.bulk_create(
        rows.values(),
        update_conflicts=True,
        unique_fields=["service", "breaker", "start"],
        update_fields=[*OUTCOMES, "buckets", "sum_s"],
    )


def sketch_of(row: Rollup) -> Histogram:
    """The latencies of a row; JSON has turned the bucket numbers into strings."""
    return Histogram({int(index): n for index, n in row.buckets.items()}, row.sum_s)


def prune(now: float | None = None) -> int:
    """Let go of what is too old; returns how many rows."""
    now = time.time() if now is None else now
    rollups, _ = Rollup.objects.filter(start__lt=now - ROLLUPS_KEPT_S).delete()
    transitions, _ = Transition.objects.filter(at__lt=now - TRANSITIONS_KEPT_S).delete()
    return rollups + transitions
