"""Splits what one report says of a long time into parts of equal buckets."""

from __future__ import annotations

from collections.abc import Iterator

from breakers.circuit.histogram import Histogram
from dashboard.fleet.checkpoint_batch import Delta, Span

# Multiples of it modulo 1 lie far apart (the golden ratio), so that many small counts do not all
# fall into the same part.
_PHASE = 0.6180339887498949


def spread(span: Span, step_s: int, delta: Delta) -> Iterator[tuple[int, Delta]]:
    """The start of each bucket that a span touches, and its part of the delta.

    Parts are as even as whole numbers can be, and add up to exactly what was reported.
    """
    first = span.begin // step_s * step_s
    length = span.end - span.begin
    before = 0.0
    for start in range(first, span.end, step_s):
        upto = min(1.0, (start + step_s - span.begin) / length)
        part = Delta()
        numbered = 0
        for name, n in delta.counts.items():
            numbered += 1
            if share := _share(n, before, upto, numbered):
                part.counts[name] = share
        buckets = {}
        for index, n in delta.latencies.buckets.items():
            numbered += 1
            if share := _share(n, before, upto, numbered):
                buckets[index] = share
        part.latencies = Histogram(buckets, delta.latencies.sum_s * (upto - before))
        yield start, part
        before = upto


def _share(n: int, before: float, upto: float, numbered: int) -> int:
    """How many of `n` fall between two shares of the whole; all of them between 0 and 1."""
    phase = numbered * _PHASE % 1
    return int(n * upto + phase) - int(n * before + phase)
