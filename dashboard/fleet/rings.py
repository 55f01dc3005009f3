"""The last minute of a breaker, second by second."""

from __future__ import annotations

from collections.abc import Mapping

from breakers.histogram import Histogram
from breakers.records import OUTCOMES

SECONDS = 60
RECENT = 10
_CALLS = ("success", "failure", "timeout", "ignored", "rejected", "bulkhead_full")
_ERRORS = ("failure", "timeout", "rejected", "bulkhead_full")


class _Second:
    __slots__ = ("at", "counts", "latencies")

    def __init__(self, at: int) -> None:
        self.at = at
        self.counts: dict[str, int] = {}
        self.latencies = Histogram()


class Ring:
    """Sixty seconds of counts and latencies; older ones are forgotten as time goes on."""

    __slots__ = ("_seconds",)

    def __init__(self) -> None:
        self._seconds: dict[int, _Second] = {}

    def add(
        self, second: int, counts: Mapping[str, int], buckets: Mapping[int, int], sum_s: float
    ) -> None:
        """Add what a report brought in a second."""
        slot = self._seconds.get(second)
        if slot is None:
            slot = self._seconds[second] = _Second(second)
            for old in [at for at in self._seconds if at <= second - SECONDS - 1]:
                del self._seconds[old]
        for name, n in counts.items():
            slot.counts[name] = slot.counts.get(name, 0) + n
        slot.latencies.merge(buckets, sum_s)

    def is_idle(self, second: int) -> bool:
        """Whether nothing is left that still moves the figures."""
        return all(at <= second - SECONDS - 1 for at in self._seconds)

    def recent(self, second: int) -> tuple[dict[str, int], Histogram]:
        """Counts and latencies of the last ten whole seconds."""
        counts: dict[str, int] = {}
        latencies = Histogram()
        for at in range(second - RECENT, second):
            if (slot := self._seconds.get(at)) is not None:
                for name in OUTCOMES:
                    if n := slot.counts.get(name):
                        counts[name] = counts.get(name, 0) + n
                latencies.merge(slot.latencies.buckets, slot.latencies.sum_s)
        return counts, latencies

    def rate(self, second: int, over: int = 5) -> float:
        """Calls a second, refused ones included, of the last whole seconds."""
        return sum(self._sum(at, _CALLS) for at in range(second - over, second)) / over

    def spark(self, second: int) -> tuple[list[int], list[int]]:
        """Calls and errors of each of the last sixty whole seconds, oldest first."""
        span = range(second - SECONDS, second)
        return [self._sum(at, _CALLS) for at in span], [self._sum(at, _ERRORS) for at in span]

    def _sum(self, at: int, names: tuple[str, ...]) -> int:
        slot = self._seconds.get(at)
        return 0 if slot is None else sum(slot.counts.get(name, 0) for name in names)


def error_pct(counts: Mapping[str, int]) -> float | None:
    """Share of calls that failed, timed out or were refused, in per cent; None without calls."""
    calls = sum(counts.get(name, 0) for name in _CALLS)
    if not calls:
        return None
    return round(100 * sum(counts.get(name, 0) for name in _ERRORS) / calls, 2)
