"""Reports as the tests of history absorb them."""

from __future__ import annotations

from breakers.protocol import messages as wire
from dashboard.fleet.checkpoint_batch import Batch
from dashboard.history import services

NOW = 1_699_999_205.0


def batch_of(
    at: float = NOW,
    *,
    breaker: str = "posts",
    service: str = "shop",
    instance: str = "one",
    interval_s: float = 1.0,
    age_s: float = 0.0,
    success: int = 10,
    failure: int = 2,
    buckets: dict[int, int] | None = None,
    transitions: list[wire.Transition] | None = None,
) -> Batch:
    """A checkpoint with one report that came in at a time."""
    buckets = {-30: success + failure} if buckets is None else buckets
    counters = wire.BreakerReport(
        name=breaker,
        state="closed",
        counts=wire.Counts(success=success, failure=failure),
        histogram=wire.Histogram(buckets, 0.075 * sum(buckets.values())),
        transitions=transitions or [],
    )
    report = wire.Report(
        service=service,
        instance=wire.Instance(id=instance),
        boot="b",
        seq=1,
        interval_s=interval_s,
        age_s=age_s,
        breakers=[counters],
    )
    batch = Batch()
    batch.add(report, counters, {"success": success, "failure": failure}, at)
    return batch


def absorb(at: float = NOW, *, now: float | None = None, **fields: object) -> None:
    """Store such a checkpoint at the time it came in, or `now`."""
    services.absorb(batch_of(at, **fields), at if now is None else now)  # type: ignore[arg-type]
