"""Which breakers have counts that wait to be added up, and for which batch."""

from __future__ import annotations

from dashboard.fleet.checkpoint_batch import Batch
from dashboard.fleet.model import BreakerModel, ServiceModel


class AggregationQueue:
    """Adds up what waits: into the breaker's ring, and into the batch it was counted for."""

    def __init__(self) -> None:
        self._by_partition: dict[int, list[tuple[ServiceModel, BreakerModel]]] = {}

    def begin(
        self, service: ServiceModel, breaker: BreakerModel, batch: Batch, second: int, bucket: int
    ) -> None:
        """Let a breaker's counts wait from now on for this batch, second and bucket."""
        pending = breaker.pending
        _add_up(service, breaker)
        pending.second, pending.bucket = second, bucket
        if pending.batch is not batch:
            pending.batch = batch
            self._by_partition.setdefault(batch.partition, []).append((service, breaker))

    def flush(self, batch: Batch) -> None:
        """Bring into a batch everything that was counted for it."""
        for service, breaker in self._by_partition.pop(batch.partition, ()):
            _add_up(service, breaker)
            breaker.pending.batch = None

    def add_up(self) -> None:
        """Bring the rings up to date."""
        for waiting in self._by_partition.values():
            for service, breaker in waiting:
                _add_up(service, breaker)

    def forget(self, partitions: frozenset[int]) -> None:
        """Drop what waits for partitions that another worker counts."""
        for partition in partitions:
            self._by_partition.pop(partition, None)


def _add_up(service: ServiceModel, breaker: BreakerModel) -> None:
    pending = breaker.pending
    if not pending.counts or pending.batch is None:
        return
    counts, buckets, sum_s = pending.take()
    if buckets or any(counts):
        breaker.recent.add(pending.second, counts, buckets, sum_s)
        breaker.figures = None
        key = (service.name, breaker.name, pending.bucket)
        pending.batch.count(key, counts, buckets, sum_s)
