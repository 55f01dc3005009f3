"""Writes of history: checkpoints are added, levels rolled up, and what is old deleted."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import msgspec
from django.db import DatabaseError, connection, transaction

from breakers.circuit.histogram import Histogram
from breakers.circuit.records import OUTCOMES
from dashboard.common.database_errors import is_of_content
from dashboard.fleet.checkpoint_batch import Batch, Delta, ReportedTransition
from dashboard.fleet.services import put_aside
from dashboard.history import outages, partitions, recordings, upserts
from dashboard.history.levels import LEVELS, TRANSITIONS, finest_for, homes
from dashboard.history.models import Bucket, HourRollup, MinuteRollup, Rolled, Rollup, Transition
from dashboard.history.sketches import MOST, pack, unpack, write
from dashboard.history.span_splitting import spread

logger = logging.getLogger("switchgear.history")

MODELS = (Rollup, MinuteRollup, HourRollup)
_Key = tuple[str, str, int]


def absorb(batch: Batch, now: float | None = None) -> None:
    """Add a checkpoint to history, inside the caller's transaction.

    What is too late for a level, because it is too old for it or was rolled up already, is added to
    those above it instead.
    """
    now = time.time() if now is None else now
    with transaction.atomic():
        _lock(shared=True)
        rows = _by_level(batch, now, marks())
        for level, deltas in zip(LEVELS, rows, strict=True):
            if deltas:
                partitions.ensure(level, (start for _, _, start in deltas))
                upserts.add_buckets(level, (_row(key, deltas[key]) for key in deltas))
        kept = {digest(t): t for t in batch.transitions if TRANSITIONS.keeps(t.at, now)}
        if kept:
            partitions.ensure(TRANSITIONS, (each.at for each in kept.values()))
            upserts.add_transitions(transition_row(key, each) for key, each in kept.items())
        outages.keep(batch.outages.values())


def _by_level(batch: Batch, now: float, carried: list[int]) -> list[dict[_Key, Delta]]:
    rows: list[dict[_Key, Delta]] = [{} for _ in LEVELS]
    for service, breaker, start, finest, delta in _pieces(batch):
        for index, begin in homes(start, finest, now, carried):
            total = rows[index].setdefault((service, breaker, begin), Delta())
            for name, n in delta.counts.items():
                total.counts[name] = total.counts.get(name, 0) + n
            total.latencies.merge(delta.latencies.buckets, delta.latencies.sum_s)
    return rows


def _pieces(batch: Batch) -> Iterator[tuple[str, str, int, int, Delta]]:
    for (service, breaker, start), delta in batch.deltas.items():
        yield service, breaker, start, 0, delta
    for (service, breaker, span), delta in batch.spans.items():
        finest = finest_for(span.end - span.begin)
        for start, part in spread(span, LEVELS[finest].step_s, delta):
            yield service, breaker, start, finest, part


def _row(key: _Key, delta: Delta) -> tuple[Any, ...]:
    counts = (min(delta.counts.get(name, 0), MOST) for name in OUTCOMES)
    buckets = {index: min(n, MOST) for index, n in delta.latencies.buckets.items()}
    sketch = write(pack(buckets), connection.vendor)
    return (*key, *counts, sketch, delta.latencies.sum_s)


def transition_row(key: int, each: ReportedTransition) -> tuple[Any, ...]:
    """A transition as `merging.add_transitions` takes it."""
    return (
        each.at,
        key,
        each.service,
        each.breaker,
        each.instance,
        each.boot,
        each.id,
        each.before,
        each.after,
        each.cause,
        msgspec.json.encode(each.window).decode(),
    )


def digest(each: ReportedTransition) -> int:
    """The number by which a transition that is reported twice is recognised."""
    parts = (each.service, each.breaker, each.instance, each.boot, str(each.id))
    digest = blake2b("\0".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def sketch_of(row: Bucket) -> Histogram:
    """The latencies of a row."""
    return Histogram(unpack(row.sketch), row.sum_s)


# -- Rolling up ----------------------------------------------------------------------------------


def roll_up(now: float | None = None) -> int:
    """Carry what has settled from each level to the one above; how many rows that made or changed.

    Each step carries one span and moves the mark in one transaction: killed between two, it goes on
    where it was; run twice at once, the second finds the mark moved.
    """
    now = time.time() if now is None else now
    changed = 0
    for index in range(1, len(LEVELS)):
        while (rows := _roll_step(index, now)) is not None:
            changed += rows
    return changed


@transaction.atomic
def _roll_step(index: int, now: float) -> int | None:
    """One span; None when there is nothing left to carry."""
    _lock(shared=False)
    upper = LEVELS[index]
    carried = marks()
    # What the level below still waits for would be missing above.
    settled = now - upper.settle_s if index == 1 else min(now - upper.settle_s, carried[index - 1])
    target = upper.floor(settled)
    mark = carried[index]
    if mark >= target:
        return None
    rows = MODELS[index - 1].objects.filter(start__gte=mark, start__lt=target).order_by("start")
    oldest = rows.values_list("start", flat=True).first()
    changed = 0
    if oldest is None:
        end = target
    else:
        begin = upper.floor(oldest)
        end = min(target, begin + upper.chunk_s)
        partitions.ensure(upper, (begin, end - 1))
        changed = _roll_span(index, begin, end)
    Rolled.objects.update_or_create(step_s=upper.step_s, defaults={"to": end})
    return changed


def _roll_span(index: int, begin: int, end: int) -> int:
    """Carry one span. Where the database refuses it for its content, each service is carried for
    itself, and one that is refused is put aside: its rows stay in the level below."""
    lower, upper = LEVELS[index - 1], LEVELS[index]
    try:
        with transaction.atomic():
            return upserts.roll(lower, upper, begin, end)
    except DatabaseError as error:
        if not is_of_content(error):
            raise
    rows = MODELS[index - 1].objects.filter(start__gte=begin, start__lt=end)
    changed = 0
    for service in rows.order_by("service").values_list("service", flat=True).distinct():
        try:
            with transaction.atomic():
                changed += upserts.roll(lower, upper, begin, end, [service])
        except DatabaseError as error:
            if not is_of_content(error):
                raise
            logger.error("%r cannot be rolled up from %d to %d: %s", service, begin, end, error)
            what = {"level": upper.table, "from": begin, "to": end}
            put_aside(service, msgspec.json.encode(what).decode(), repr(error))
    return changed


def marks() -> list[int]:
    """Up to when each level was filled from the one below; the finest is filled by nobody."""
    found = dict(Rolled.objects.values_list("step_s", "to"))
    return [found.get(level.step_s, 0) for level in LEVELS]


def _lock(shared: bool) -> None:
    """Until the transaction ends: any number add, or one rolls up. SQLite has one writer anyway."""
    if connection.vendor == "postgresql":
        kind = "_shared" if shared else ""
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_advisory_xact_lock{kind}(%s)", [partitions.ROLLING])


# -- Retention ------------------------------------------------------------------------------------


def prune(now: float | None = None) -> int:
    """Let go of what is too old; how many partitions, or rows where there are none. What was not
    rolled up yet stays, however old."""
    now = time.time() if now is None else now
    carried = [*marks()[1:], int(now)]
    gone = 0
    for index, level in enumerate(LEVELS):
        horizon = min(now - level.kept_s, carried[index])
        if partitions.are_used():
            gone += partitions.drop_before(level, horizon)
        else:
            gone += MODELS[index].objects.filter(start__lt=horizon).delete()[0]
    horizon = now - TRANSITIONS.kept_s
    gone += outages.prune(horizon) + recordings.prune(now)
    if partitions.are_used():
        return gone + partitions.drop_before(TRANSITIONS, horizon)
    return gone + Transition.objects.filter(at__lt=horizon).delete()[0]
