"""Folds reports and acknowledgements into what has been seen of a service.

Counts of live reports wait with their breaker (`pending`) until the second is over, the checkpoint
wants them, or there are many.
"""

from __future__ import annotations

from typing import Final

from breakers.protocol import messages as wire
from dashboard.fleet.aggregation import LIMIT
from dashboard.fleet.aggregation_queue import AggregationQueue
from dashboard.fleet.checkpoint_batch import BUCKET_S, Batch
from dashboard.fleet.membership import (
    breaker_of,
    change,
    enter,
    instance_of,
    learn_fields,
    leave,
)
from dashboard.fleet.model import BreakerModel, Incarnation, InstanceModel, ServiceModel
from dashboard.fleet.outages import TROUBLE
from dashboard.fleet.sequence_gaps import take

_LIVE_AGE_S: Final = 10.0
# Refusals of overrides that are kept for one service.
MAX_REFUSED: Final = 10_000


def apply_ack(service: ServiceModel, ack: wire.Ack) -> None:
    """Apply what an instance answered to a desired state. An instance that has not reported has
    nothing to answer."""
    instance = service.instances.get(ack.instance)
    if instance is None:
        return
    for item in ack.items:
        if item.breaker not in instance.breakers:
            continue
        if (
            item.kind == "override"
            and item.status == "refused"
            and len(service.refused) < MAX_REFUSED
        ):
            service.refused[item.id, ack.instance] = item.reason
        service.dirty_breakers.add(item.breaker)
    if instance.revision != ack.revision:
        instance.revision = ack.revision
        service.dirty_instances.add(ack.instance)
        service.dirty_breakers |= instance.breakers.keys()


class ReportApplier:
    """Reports of any service; `interval_s` is how often instances report at most."""

    def __init__(self, waiting: AggregationQueue, interval_s: float) -> None:
        self.duplicates = 0
        self.watched: frozenset[tuple[str, str]] = frozenset()
        self._waiting = waiting
        self._interval_s = interval_s

    def fold(self, service: ServiceModel, report: wire.Report, at: float, batch: Batch) -> None:
        """Take in one report that came at Unix time `at`; what must be stored goes to `batch`, at
        the latest when what waits for it is added up."""
        incarnation = (report.instance.id, report.boot)
        highest = service.cursors.get(incarnation, 0)
        is_new = self._is_new(service, incarnation, report.seq, batch)
        if is_new and self.watched:
            batch.count_arms(report, self.watched)
        if report.seq < highest:
            # It was overtaken: a later report has the current state.
            if is_new:
                self._overtaken(service, report, at, batch)
            return
        instance = instance_of(service, report, at, self._interval_s)
        if instance is None:
            # The agents' API accepted it, so it is counted and acknowledged, but not shown.
            service.over_capacity.instance(report.instance.id, at)
            if is_new:
                self._overtaken(service, report, at, batch)
            return
        if not highest:
            instance.over_capacity.clear()  # another incarnation may have other breakers
        if report.age_s > _LIVE_AGE_S or report.interval_s > BUCKET_S:
            self._late(service, instance, report, at, batch, is_new)
        else:
            self._live(service, instance, report, at, batch, is_new)
        if report.leaving:
            leave(service, report)

    def _is_new(
        self, service: ServiceModel, incarnation: Incarnation, seq: int, batch: Batch
    ) -> bool:
        """Whether a report has not been counted yet; from now on it has."""
        highest, before = service.cursors.get(incarnation, 0), service.gaps.get(incarnation, ())
        gaps = take(highest, before, seq)
        if gaps is None:
            self.duplicates += 1
            return False
        key = (service.name, *incarnation)
        service.cursors[incarnation] = batch.cursors[key] = max(seq, highest)
        if gaps or before:
            service.gaps[incarnation] = batch.gaps[key] = gaps
        return True

    def _live(
        self,
        service: ServiceModel,
        instance: InstanceModel,
        report: wire.Report,
        at: float,
        batch: Batch,
        is_new: bool,
    ) -> None:
        """The common case, in one loop without a call for each breaker: this is where the fleet's
        time goes."""
        ended = at - report.age_s
        second = int(ended)
        bucket = int((ended - report.interval_s / 2) // BUCKET_S) * BUCKET_S
        known = instance.breakers
        outages = service.outages
        in_outage = outages.by_breaker
        for breaker in report.breakers:
            seen = known.get(breaker.name) or enter(service, instance, breaker.name, at)
            if seen is None:
                continue
            over_all = seen.breaker
            if is_new:
                pending = over_all.pending
                if (
                    pending.batch is not batch
                    or pending.second != second
                    or pending.bucket != bucket
                    or len(pending.counts) >= LIMIT
                ):
                    self._waiting.begin(service, over_all, batch, second, bucket)
                pending.counts.append(breaker.counts)
                pending.sketches.append(breaker.histogram)
                if breaker.transitions or breaker.policy is not None:
                    self._note(service, report, breaker, at, batch)
                if in_outage and seen.state in TROUBLE and breaker.state in TROUBLE:
                    counts = breaker.counts
                    outages.count(breaker.name, counts.success, counts.rejected)
            if (
                seen.state != breaker.state
                or seen.cause != breaker.cause
                or seen.would_be_open != breaker.would_be_open
            ):
                change(service, report.instance.id, seen, breaker, ended)
                if in_outage or breaker.state == "open":
                    outages.observe(
                        breaker.name, report.instance.id, breaker.state, seen.since_at,
                        breaker.cause, at,
                    )  # fmt: skip
            elif seen.in_flight != breaker.in_flight:
                seen.in_flight = breaker.in_flight
                over_all.moved.add(report.instance.id)

    def _overtaken(
        self, service: ServiceModel, report: wire.Report, at: float, batch: Batch
    ) -> None:
        """Of a report that comes after later ones, or of an instance that is not shown, only what
        happened counts."""
        for breaker in report.breakers:
            over_all = breaker_of(service, breaker.name, at)
            if over_all is not None:
                self._count(service, over_all, report, breaker, at, batch)

    def _count(
        self,
        service: ServiceModel,
        over_all: BreakerModel,
        report: wire.Report,
        breaker: wire.BreakerReport,
        at: float,
        batch: Batch,
    ) -> None:
        """Add the counts of a report that is not of this second."""
        counts = _counts(breaker)
        figures = {
            name: n for name, n in zip(breaker.counts.__struct_fields__, counts, strict=True) if n
        }
        batch.add(report, breaker, figures, at)
        if report.age_s <= _LIVE_AGE_S:
            sketch = breaker.histogram
            over_all.recent.add(int(at - report.age_s), counts, sketch.buckets, sketch.sum_s)
            over_all.figures = None
        self._note_last(service, report, breaker, at)

    def _late(
        self,
        service: ServiceModel,
        instance: InstanceModel,
        report: wire.Report,
        at: float,
        batch: Batch,
        is_new: bool,
    ) -> None:
        """A report of a while ago, or of a long time: its counts are not of this second."""
        ended = at - report.age_s
        for breaker in report.breakers:
            over_all = breaker_of(service, breaker.name, at)
            if over_all is None:
                continue
            if is_new:
                self._count(service, over_all, report, breaker, at, batch)
            if breaker.policy is not None:
                learn_fields(service, report.instance.id, breaker.policy)
            if report.age_s <= _LIVE_AGE_S:
                seen = instance.breakers.get(breaker.name)
                seen = seen or enter(service, instance, breaker.name, at)
                if seen is not None:
                    change(service, report.instance.id, seen, breaker, ended)

    def _note(
        self,
        service: ServiceModel,
        report: wire.Report,
        breaker: wire.BreakerReport,
        at: float,
        batch: Batch,
    ) -> None:
        batch.note(report, breaker, at)
        if breaker.policy is not None:
            learn_fields(service, report.instance.id, breaker.policy)
        self._note_last(service, report, breaker, at)

    def _note_last(
        self, service: ServiceModel, report: wire.Report, breaker: wire.BreakerReport, at: float
    ) -> None:
        for each in breaker.transitions:
            when = at - report.age_s - each.ago_s
            service.outages.transition(
                breaker.name,
                report.instance.id,
                when,
                (each.from_, each.to),
                first_cause(each.cause, breaker.counts),
                at,
            )
            known = service.last.get(breaker.name)
            if known is None or known["at"] <= when:
                service.dirty_breakers.add(breaker.name)
                service.last[breaker.name] = {
                    "at": when,
                    "before": each.from_,
                    "after": each.to,
                    "cause": each.cause,
                    "instance": report.instance.id,
                }


def first_cause(cause: str, counts: wire.Counts) -> str:
    """The cause of a trip, with the kind of failure where the report has only one.

    >>> first_cause("5 failures in a row", wire.Counts(success=2, timeout=5))
    '5 timeouts in a row'
    """
    if counts.timeout and not counts.failure:
        return cause.replace(" failures in a row", " timeouts in a row")
    return cause


def _counts(breaker: wire.BreakerReport) -> list[int]:
    return [getattr(breaker.counts, name) for name in breaker.counts.__struct_fields__]
