"""Latencies in exponential buckets: small, mergeable, at most 5 % off.

The layout is the OpenTelemetry exponential histogram at scale 3: bucket i holds the values in
(2**(i/8), 2**((i+1)/8)] seconds. A bucket's geometric middle is within 4.4 % of all it holds.
Values below a microsecond share the lowest bucket, values above 2**17 s (36 h) the highest.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from typing import Final

from breakers.circuit.admission import count_latencies
from breakers.common.uninterruptible import uninterruptible

SCALE: Final = 8
LOWEST: Final = -160
HIGHEST: Final = 17 * SCALE

_MIN_S: Final = 2.0 ** ((LOWEST + 1) / SCALE)
_MAX_S: Final = 2.0 ** (HIGHEST / SCALE)
_SPARE: Final = 4


@uninterruptible
def bucket_index(seconds: float) -> int:
    """The bucket that holds a latency.

    >>> bucket_index(1.0), bucket_index(1.01), bucket_index(0.0), bucket_index(math.inf)
    (-1, 0, -160, 136)
    """
    if not seconds > _MIN_S:
        return LOWEST
    if seconds > _MAX_S:
        return HIGHEST
    return math.ceil(math.log2(seconds) * SCALE) - 1


def bucket_bounds(index: int) -> tuple[float, float]:
    """The bounds of a bucket in seconds: above the first, up to and with the second.

    >>> bucket_bounds(-8)
    (0.5, 0.5452538663326288)
    """
    return 2.0 ** (index / SCALE), 2.0 ** ((index + 1) / SCALE)


@uninterruptible
class Histogram:
    """A sketch of latencies. Not locked: its owner sees to that.

    It keeps a counter for each bucket between the lowest and the highest it has seen.

    >>> sketch = Histogram()
    >>> sketch.record_many([0.010] * 98 + [0.5, 0.5])
    >>> round(sketch.quantile(0.5), 3), round(sketch.quantile(0.99), 2)
    (0.01, 0.48)
    """

    __slots__ = ("_counts", "_first", "sum_s")

    def __init__(self, buckets: Mapping[int, int] | None = None, sum_s: float = 0.0) -> None:
        self._first = 0
        self._counts = array("Q")
        self.sum_s = 0.0
        self.merge(buckets or {}, sum_s)

    @property
    def buckets(self) -> dict[int, int]:
        """The counts above 0, by bucket."""
        return {index: n for index, n in enumerate(self._counts, self._first) if n}

    @property
    def count(self) -> int:
        """How many latencies it holds."""
        return sum(self._counts)

    def record(self, seconds: float) -> None:
        """Add one latency."""
        self.record_many([seconds])

    def record_many(self, latencies: list[float]) -> None:
        """Add many latencies, in seconds."""
        beyond = count_latencies(self._counts, self._first, latencies)
        if beyond:
            self._reach(bucket_index(min(beyond)), bucket_index(max(beyond)))
            count_latencies(self._counts, self._first, beyond)
        self.sum_s += sum(latencies)

    def merge(self, buckets: Mapping[int, int], sum_s: float = 0.0) -> None:
        """Add another sketch's buckets and sum."""
        if buckets:
            self._reach(min(buckets), max(buckets))
            counts, first = self._counts, self._first
            for index, count in buckets.items():
                counts[index - first] += count
        self.sum_s += sum_s

    def _reach(self, lowest: int, highest: int) -> None:
        """Extend the buckets to hold these, and a few more on either side."""
        last = self._first + len(self._counts) - 1
        if not self._counts:
            self._first, last = lowest, lowest - 1
        if lowest < self._first:
            lowest -= _SPARE
            self._counts[:0] = _zeros(self._first - lowest)
            self._first = lowest
        if highest > last:
            self._counts.extend(_zeros(highest + _SPARE - last))

    def quantile(self, q: float) -> float | None:
        """The latency in seconds below which the share `q` lies; None while empty.

        The estimate is a bucket's geometric middle, as in DDSketch (Masson, Rim, Lee, VLDB 2019).
        """
        if not 0 <= q <= 1:
            raise ValueError(f"q is {q!r}; it must be a share from 0 to 1")
        total = self.count
        if not total:
            return None
        rank = max(1, math.ceil(q * total))
        return float(2.0 ** ((self._index_of(rank) + 0.5) / SCALE))

    def _index_of(self, rank: int) -> int:
        """The bucket of the latency that is number `rank` in order."""
        at, seen = 0, self._counts[0]
        while seen < rank:
            at += 1
            seen += self._counts[at]
        return self._first + at


def _zeros(n: int) -> array[int]:
    return array("Q", bytes(8 * n))


@uninterruptible
def merged(sketches: Iterable[Histogram]) -> Histogram:
    """One sketch of all that several hold.

    >>> merged([Histogram({0: 1}, 1.1), Histogram({0: 2, 9: 1}, 4.4)]).buckets
    {0: 3, 9: 1}
    """
    whole = Histogram()
    for each in sketches:
        whole.merge(each.buckets, each.sum_s)
    return whole
