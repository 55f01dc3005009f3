"""Latencies in exponential buckets: small, mergeable, at most 5 % off.

The layout is the OpenTelemetry exponential histogram at scale 3: bucket i holds the values in
(2**(i/8), 2**((i+1)/8)] seconds. A bucket's geometric middle is within 4.4 % of all it holds.
Values below a microsecond share the lowest bucket, values above 2**17 s (36 h) the highest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

SCALE: Final = 8
LOWEST: Final = -160
HIGHEST: Final = 17 * SCALE

_MIN_S: Final = 2.0 ** ((LOWEST + 1) / SCALE)


def bucket_index(seconds: float) -> int:
    """The bucket that holds a latency.

    >>> bucket_index(1.0), bucket_index(1.01), bucket_index(0.0)
    (-1, 0, -160)
    """
    if not seconds > _MIN_S:
        return LOWEST
    return min(math.ceil(math.log2(seconds) * SCALE) - 1, HIGHEST)


def bucket_bounds(index: int) -> tuple[float, float]:
    """The bounds of a bucket in seconds: above the first, up to and with the second."""
    return 2.0 ** (index / SCALE), 2.0 ** ((index + 1) / SCALE)


class Histogram:
    """A sparse sketch of latencies. Not locked: its owner sees to that.

    >>> sketch = Histogram()
    >>> sketch.record_many([0.010] * 98 + [0.5, 0.5])
    >>> round(sketch.quantile(0.5), 3), round(sketch.quantile(0.99), 2)
    (0.01, 0.48)
    """

    __slots__ = ("buckets", "sum_s")

    def __init__(self, buckets: Mapping[int, int] | None = None, sum_s: float = 0.0) -> None:
        self.buckets: dict[int, int] = dict(buckets or {})
        self.sum_s = sum_s

    @property
    def count(self) -> int:
        """How many latencies it holds."""
        return sum(self.buckets.values())

    def record(self, seconds: float) -> None:
        """Add one latency."""
        self.record_many((seconds,))

    def record_many(self, latencies: Iterable[float]) -> None:
        """Add many latencies; the loop is written out because it runs for every call made."""
        buckets, log2, ceil = self.buckets, math.log2, math.ceil
        total = 0.0
        for seconds in latencies:
            total += seconds
            index = ceil(log2(seconds) * SCALE) - 1 if seconds > _MIN_S else LOWEST
            if index > HIGHEST:
                index = HIGHEST
            buckets[index] = buckets.get(index, 0) + 1
        self.sum_s += total

    def merge(self, buckets: Mapping[int, int], sum_s: float = 0.0) -> None:
        """Add another sketch's buckets and sum."""
        mine = self.buckets
        for index, count in buckets.items():
            mine[index] = mine.get(index, 0) + count
        self.sum_s += sum_s

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
        seen = 0
        for index in sorted(self.buckets):
            seen += self.buckets[index]
            if seen >= rank:
                break
        return float(2.0 ** ((index + 0.5) / SCALE))
