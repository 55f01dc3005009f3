"""What live reports brought of one breaker in one second, gathered before it is added up.

Adding up a hundred small reports at once costs a fraction of adding each to where it is kept, and
most of what a report holds goes to the same two places as what came before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from breakers.protocol import messages as wire
from dashboard.bus.ingest_structs import buckets_of
from dashboard.bus.sketches import merged
from dashboard.fleet.checkpoint_batch import Batch

# So many reports are held at most for each breaker, at about a kilobyte each.
LIMIT: Final = 64
_as_tuple = msgspec.structs.astuple


class Pending:
    """Counts and sketches of one breaker in one `second` and one `bucket` of history, counted for
    one `batch`."""

    __slots__ = ("batch", "bucket", "counts", "second", "sketches")

    def __init__(self) -> None:
        self.batch: Batch | None = None
        self.second = self.bucket = 0
        self.counts: list[wire.Counts] = []
        self.sketches: list[wire.Histogram] = []

    def take(self) -> tuple[Sequence[int], Mapping[int, int], float]:
        """The sums of the counts, in their order on the wire, and of the sketches; then nothing."""
        counts, sketches = self.counts, self.sketches
        self.counts, self.sketches = [], []
        return (
            [*map(sum, zip(*map(_as_tuple, counts), strict=True))],
            merged([*map(buckets_of, sketches)]),
            sum([each.sum_s for each in sketches]),
        )
