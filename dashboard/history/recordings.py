"""Stores recordings of calls within bounds of each service, and reads them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final

from django.db import transaction
from django.db.models import Count, QuerySet, Sum

from breakers.protocol import messages as wire
from breakers.protocol.recordings import ASKED, OUTCOMES, TRIP
from dashboard.common.batch_deletion import sweep
from dashboard.history.models import Recording

# Of one service; beyond them its oldest recordings make way.
MAX_ROWS: Final = 10_000
MAX_BYTES: Final = 64 * 2**20
KEPT_S: Final = 7 * 86_400.0
# The most calls that one read returns.
MAX_READ: Final = 2_000_000

# Offset and latency in microseconds, outcome, attempt.
_ENTRY: Final = Struct("<qIBB")


@dataclass(frozen=True, slots=True)
class Call:
    """A recorded call: when it began (Unix time), where, how it ended, and how long it took."""

    at: float
    instance: str
    outcome: str
    seconds: float
    attempt: int


def store(service: str, recording: wire.Recording, now: float | None = None) -> bool:
    """Keep one message of an agent; whether it was new. The oldest of the service make way."""
    now = time.time() if now is None else now
    if not recording.offset_us:
        return False
    start = now - recording.age_s
    known = Recording.objects.filter(
        service=service,
        breaker=recording.breaker,
        instance=recording.instance,
        boot=recording.boot,
        order=recording.id,
    )
    pairs = list(zip(recording.offset_us, recording.latency_us, strict=True))
    entries = b"".join(
        _ENTRY.pack(offset, latency, outcome, attempt)
        for (offset, latency), outcome, attempt in zip(
            pairs, recording.outcome, recording.attempt, strict=True
        )
    )
    with transaction.atomic():
        # One zero for all messages of an order: their delays differ.
        earlier = known.values_list("start", flat=True).first()
        start = start if earlier is None else earlier
        made = Recording.objects.bulk_create(
            [
                Recording(
                    service=service,
                    breaker=recording.breaker,
                    instance=recording.instance,
                    boot=recording.boot,
                    reason=recording.reason,
                    order=recording.id,
                    cause=recording.cause,
                    start=start,
                    begins=start + min(recording.offset_us) / 1e6,
                    ends=start + max(map(sum, pairs)) / 1e6,
                    first=recording.first,
                    lost=recording.lost,
                    calls=len(pairs),
                    entries=entries,
                    size=len(entries),
                    stored=now,
                )
            ],
            ignore_conflicts=True,
        )
        _make_way(service)
    return bool(made)


def _make_way(service: str) -> None:
    rows = Recording.objects.filter(service=service)
    total = rows.aggregate(rows=Count("pk"), size=Sum("size"))
    over_rows, over_bytes = total["rows"] - MAX_ROWS, (total["size"] or 0) - MAX_BYTES
    if over_rows <= 0 and over_bytes <= 0:
        return
    gone = []
    for pk, size in rows.order_by("stored", "pk").values_list("pk", "size"):
        if over_rows <= 0 and over_bytes <= 0:
            break
        gone.append(pk)
        over_rows, over_bytes = over_rows - 1, over_bytes - size
    rows.filter(pk__in=gone).delete()


def prune(now: float) -> int:
    """Delete recordings that are too old."""
    return sweep(Recording.objects.filter(stored__lt=now - KEPT_S).order_by())


def trips(service: str, breaker: str, limit: int = 5) -> list[Recording]:
    """The latest recordings of calls that opened a breaker, newest first."""
    rows = Recording.objects.filter(service=service, breaker=breaker, reason=TRIP)
    return list(rows.order_by("-begins", "-id")[:limit])


def ordered(service: str, breaker: str, begins: float, ends: float) -> QuerySet[Recording]:
    """The recordings that were asked for, with calls in a range."""
    return Recording.objects.filter(
        service=service, breaker=breaker, reason=ASKED, begins__lte=ends, ends__gte=begins
    )


def calls_of(row: Recording, start: float | None = None) -> Iterator[Call]:
    """The calls of one recording, in the order in which they ended; `start` is time zero, where it
    is not the recording's own."""
    zero = row.start if start is None else start
    for offset, latency, outcome, attempt in _ENTRY.iter_unpack(bytes(row.entries)):
        at = zero + offset / 1e6
        yield Call(at, row.instance, OUTCOMES[outcome], latency / 1e6, attempt)


def calls(service: str, breaker: str, begins: float, ends: float) -> Iterator[Call]:
    """The calls that were recorded on order and began in a range, up to `MAX_READ`."""
    left = MAX_READ
    # Two workers that store the first messages of an order at once find no zero to keep to.
    zeros: dict[tuple[str, str, str], float] = {}
    for row in ordered(service, breaker, begins, ends).order_by("instance", "boot", "first"):
        zero = zeros.setdefault((row.instance, row.boot, row.order), row.start)
        for call in calls_of(row, zero):
            if begins <= call.at <= ends:
                yield call
                left -= 1
                if not left:
                    return


def starts(service: str, breaker: str, begins: float, ends: float) -> dict[str, float]:
    """When the recordings of a range began at each instance."""
    rows = ordered(service, breaker, begins, ends).order_by("-start")
    return dict(rows.values_list("instance", "start"))


def summary(service: str, breaker: str, limit: int = 10) -> list[dict[str, float | str | int]]:
    """The latest recordings that were asked for: each order with its range, calls and instances."""
    rows = Recording.objects.filter(service=service, breaker=breaker, reason=ASKED)
    found: dict[str, dict[str, float | str | int]] = {}
    instances: dict[str, set[str]] = {}
    values = rows.order_by("-stored").values_list("order", "begins", "ends", "calls", "instance")
    for order, begins, ends, count, instance in values[:MAX_ROWS]:
        each = found.setdefault(order, {"order": order, "begins": begins, "ends": ends, "calls": 0})
        each["begins"] = min(float(each["begins"]), begins)
        each["ends"] = max(float(each["ends"]), ends)
        each["calls"] = int(each["calls"]) + count
        instances.setdefault(order, set()).add(instance)
        each["instances"] = len(instances[order])
    return list(found.values())[:limit]
