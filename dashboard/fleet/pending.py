"""What live reports brought of one breaker in one second, gathered before it is added up.

Adding up a hundred small reports at once costs a fraction of adding each to where it is kept, and
most of what a report holds goes to the same two places as what came before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from breakers import wire
from breakers.histogram import HIGHEST, LOWEST
from dashboard.fleet.batch import Batch

# So many reports are held at most for each breaker, at about a kilobyte each.
LIMIT: Final = 64
_FEW: Final = 3
_BUCKETS: Final = HIGHEST - LOWEST + 1
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
        counts = [*map(sum, zip(*map(_as_tuple, self.counts), strict=True))]
        buckets = _merged([each.buckets for each in self.sketches])
        sum_s = sum([each.sum_s for each in self.sketches])
        self.counts, self.sketches = [], []
        return counts, buckets, sum_s


def _merged(sketches: list[dict[int, int]]) -> Mapping[int, int]:
    if len(sketches) == 1:
        return sketches[0]
    if len(sketches) <= _FEW:
        few: dict[int, int] = {}
        for each in sketches:
            for index, n in each.items():
                few[index] = few.get(index, 0) + n
        return few
    # A list counts indices below zero from its end, where the buckets below one second fit.
    dense = [0] * _BUCKETS
    for each in sketches:
        for index, n in each.items():
            dense[index] += n
    below = {at + LOWEST: n for at, n in enumerate(dense[LOWEST:]) if n}
    return below | {at: n for at, n in enumerate(dense[: HIGHEST + 1]) if n}
