"""What one checkpoint stores: everything counted since the one before, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from breakers.circuit.histogram import Histogram
from breakers.circuit.policy import FIELDS
from breakers.circuit.records import OUTCOMES
from breakers.errors import PolicyError
from breakers.protocol import messages as wire
from dashboard.fleet.outages import OutageRow
from dashboard.fleet.sequence_gaps import Gaps

BUCKET_S = 10
_ROWS_A_SPAN = 10
CursorKey = tuple[str, str, str]


def _sound(policy: dict[str, Any]) -> dict[str, Any]:
    """The fields of a declared policy that this version knows, with values they can have."""
    sound = {}
    for name, spec in FIELDS.items():
        if name in policy:
            with suppress(PolicyError):
                sound[name] = spec.check(policy[name])
    return sound


class Span(NamedTuple):
    """A time longer than a bucket, in Unix seconds."""

    begin: int
    end: int


@dataclass(slots=True)
class Delta:
    """What one breaker of all instances added to one ten-second bucket, or over one span."""

    counts: dict[str, int] = field(default_factory=dict)
    latencies: Histogram = field(default_factory=Histogram)


@dataclass(frozen=True, slots=True)
class ReportedTransition:
    """A transition as an instance reported it; `at` is Unix time on the server's clock."""

    service: str
    breaker: str
    instance: str
    boot: str
    id: int
    at: float
    before: str
    after: str
    cause: str
    window: dict[str, Any]


@dataclass(slots=True)
class ArmCounts:
    """Calls and failures of one instance at a breaker under a rollout; refused calls fail."""

    instance: wire.Instance
    calls: int = 0
    failures: int = 0


@dataclass(slots=True)
class Batch:
    """The rows of a checkpoint. `deltas` is keyed by service, breaker and start of the bucket;
    `spans` has reports of more than a bucket at a time: agents that were offline merge.
    `outages`, keyed by service and id, are those that changed.
    `cursors` are the highest numbers counted, `gaps` what is missing below them.

    It holds what one partition of the log brought up to `position`, counted by a worker that had
    the partition's `epoch`.
    """

    deltas: dict[tuple[str, str, int], Delta] = field(default_factory=dict)
    spans: dict[tuple[str, str, Span], Delta] = field(default_factory=dict)
    transitions: list[ReportedTransition] = field(default_factory=list)
    cursors: dict[CursorKey, int] = field(default_factory=dict)
    gaps: dict[CursorKey, Gaps] = field(default_factory=dict)
    declared: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    # The fields of a policy that calls obey, sent together with it; None is all.
    honours: dict[str, dict[str, list[str] | None]] = field(default_factory=dict)
    outages: dict[tuple[str, str], OutageRow] = field(default_factory=dict)
    arms: dict[tuple[str, str, str], ArmCounts] = field(default_factory=dict)
    partition: int = 0
    epoch: int = 0
    position: tuple[int, int] = (0, 0)

    def __bool__(self) -> bool:
        return self.position != (0, 0)

    @property
    def weight(self) -> int:
        """About how many rows it becomes."""
        return len(self.deltas) + _ROWS_A_SPAN * len(self.spans) + len(self.transitions)

    def add(
        self, report: wire.Report, breaker: wire.BreakerReport, counts: dict[str, int], at: float
    ) -> None:
        """Add one breaker of a report that came in at Unix time `at`."""
        if counts or breaker.histogram.buckets:
            delta = self._delta(report, breaker.name, at - report.age_s)
            for name, n in counts.items():
                delta.counts[name] = delta.counts.get(name, 0) + n
            delta.latencies.merge(breaker.histogram.buckets, breaker.histogram.sum_s)
        self.note(report, breaker, at)

    def count_arms(self, report: wire.Report, watched: frozenset[tuple[str, str]]) -> None:
        """Count the calls of a report by instance, at the breakers that are watched."""
        for breaker in report.breakers:
            if (report.service, breaker.name) not in watched:
                continue
            key = (report.service, breaker.name, report.instance.id)
            arm = self.arms.get(key)
            if arm is None:
                who = report.instance
                arm = self.arms[key] = ArmCounts(
                    wire.Instance(who.id, version=who.version, zone=who.zone, tags=list(who.tags))
                )
            counts = breaker.counts
            failed = counts.failure + counts.timeout + counts.rejected
            arm.calls += counts.success + failed
            arm.failures += failed

    def count(
        self,
        key: tuple[str, str, int],
        counts: Sequence[int],
        buckets: Mapping[int, int],
        sum_s: float,
    ) -> None:
        """Add to one service's breaker in one bucket; `counts` are in the order of `OUTCOMES`."""
        delta = self.deltas.get(key)
        if delta is None:
            delta = self.deltas[key] = Delta()
        kept = delta.counts
        for name, n in zip(OUTCOMES, counts, strict=True):
            if n:
                kept[name] = kept.get(name, 0) + n
        delta.latencies.merge(buckets, sum_s)

    def note(self, report: wire.Report, breaker: wire.BreakerReport, at: float) -> None:
        """Keep what one breaker of a report says besides counts."""
        for each in breaker.transitions:
            self.transitions.append(
                ReportedTransition(
                    service=report.service,
                    breaker=breaker.name,
                    instance=report.instance.id,
                    boot=report.boot,
                    id=each.id,
                    at=at - report.age_s - each.ago_s,
                    before=each.from_,
                    after=each.to,
                    cause=each.cause,
                    window={
                        name: getattr(each.window, name) for name in each.window.__struct_fields__
                    },
                )
            )
        if breaker.policy is not None:
            self.declared.setdefault(report.service, {})[breaker.name] = _sound(breaker.policy)
            self.honours.setdefault(report.service, {})[breaker.name] = breaker.honours

    def _delta(self, report: wire.Report, breaker: str, ended: float) -> Delta:
        """Where the counts of a report go: to the bucket of its middle, or to its span."""
        began = ended - report.interval_s
        if report.interval_s > BUCKET_S:
            span = Span(int(began), int(ended))
            return self.spans.setdefault((report.service, breaker, span), Delta())
        bucket = int((began + ended) / 2 // BUCKET_S) * BUCKET_S
        return self.deltas.setdefault((report.service, breaker, bucket), Delta())
