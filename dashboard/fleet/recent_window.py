"""The last minute of a breaker, second by second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from breakers.circuit.histogram import Histogram
from breakers.circuit.records import OUTCOMES

SECONDS: Final = 60
RECENT: Final = 10
RAN: Final = ("success", "failure", "timeout", "ignored")
FAILED: Final = ("failure", "timeout")
REFUSED: Final = ("rejected", "bulkhead_full")
_CALLS: Final = (*RAN, *REFUSED)
_ERRORS: Final = (*FAILED, *REFUSED)
_CALLS_AT: Final = tuple(map(OUTCOMES.index, _CALLS))
_ERRORS_AT: Final = tuple(map(OUTCOMES.index, _ERRORS))
_NONE: Final = (0,) * len(OUTCOMES)


class _Second:
    __slots__ = ("calls", "counts", "errors", "latencies")

    def __init__(self) -> None:
        self.counts: Sequence[int] = _NONE
        self.calls = 0
        self.errors = 0
        self.latencies: Histogram | None = None


class RecentWindow:
    """Sixty seconds of counts and latencies; older ones are forgotten as time goes on.

    Counts are in the order of `OUTCOMES`.
    """

    __slots__ = ("_latest", "_seconds")

    def __init__(self) -> None:
        self._seconds: dict[int, _Second] = {}
        self._latest = -SECONDS

    def add(
        self, second: int, counts: Sequence[int], buckets: Mapping[int, int], sum_s: float
    ) -> None:
        """Add what reports brought in a second. Nothing is kept of one without calls."""
        if not buckets and not any(counts):
            return
        slot = self._seconds.get(second)
        if slot is None:
            slot = self._seconds[second] = _Second()
            self._latest = max(self._latest, second)
            for old in [at for at in self._seconds if at <= second - SECONDS - 1]:
                del self._seconds[old]
        slot.counts = [a + b for a, b in zip(slot.counts, counts, strict=True)]
        slot.calls += sum([counts[at] for at in _CALLS_AT])
        slot.errors += sum([counts[at] for at in _ERRORS_AT])
        if buckets:
            if slot.latencies is None:
                slot.latencies = Histogram()
            slot.latencies.merge(buckets, sum_s)

    def is_idle(self, second: int) -> bool:
        """Whether nothing is left that still moves the figures."""
        return self._latest <= second - SECONDS - 1

    def recent(self, second: int) -> tuple[dict[str, int], Histogram]:
        """Counts and latencies of the last ten whole seconds."""
        slots = self._slots(second, RECENT)
        latencies = Histogram()
        for slot in slots:
            if slot.latencies is not None:
                latencies.merge(slot.latencies.buckets, slot.latencies.sum_s)
        sums = map(sum, zip(*[slot.counts for slot in slots], strict=True))
        return {name: n for name, n in zip(OUTCOMES, sums, strict=False) if n}, latencies

    def _slots(self, second: int, span: int) -> list[_Second]:
        seconds = self._seconds
        return [seconds[at] for at in range(second - span, second) if at in seconds]

    def spark(self, second: int) -> tuple[list[int], list[int]]:
        """Calls and errors of each of the last sixty whole seconds, oldest first."""
        calls, errors = [0] * SECONDS, [0] * SECONDS
        first = second - SECONDS
        for at, slot in self._seconds.items():
            if first <= at < second:
                calls[at - first] = slot.calls
                errors[at - first] = slot.errors
        return calls, errors


def total(counts: Mapping[str, int], outcomes: Sequence[str]) -> int:
    """The calls that had one of these outcomes."""
    return sum(counts.get(name, 0) for name in outcomes)


def failed_pct(counts: Mapping[str, int]) -> float | None:
    """Share of the calls that ran which failed or timed out, in per cent; None if none ran.

    A refused call never reached the dependency, so that it says nothing of it.
    """
    ran = total(counts, RAN)
    return round(100 * total(counts, FAILED) / ran, 2) if ran else None
