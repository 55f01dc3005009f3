"""The metrics that all exporters share, and the snapshots that they read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from breakers.circuit.histogram import SCALE
from breakers.circuit.records import CALL_OUTCOMES, OUTCOMES, Snapshot
from breakers.circuit.registry import Registry
from breakers.circuit.states import State
from breakers.errors import PolicyError

# Each call ends with exactly one of these. Slow calls are counted separately.
CALL_RESULTS: Final = tuple(name for name in OUTCOMES if name in CALL_OUTCOMES and name != "slow")
# Events besides the outcomes of calls.
EVENTS: Final = tuple(name for name in OUTCOMES if name not in CALL_OUTCOMES)
STATES: Final = tuple(State)
# Exponents of the bucket bounds for systems without exponential histograms: powers of two from
# 122 µs to 64 s. They are bounds of the breaker's own histogram too, so the conversion is exact.
DOUBLINGS: Final = tuple(range(-13, 7))


class MetricCatalogue:
    """Takes snapshots of at most `max_breakers` breakers of a registry, the oldest first.

    Raises:
        PolicyError: `max_breakers` is below 1.
    """

    def __init__(self, registry: Registry, max_breakers: int) -> None:
        if isinstance(max_breakers, bool) or not isinstance(max_breakers, int) or max_breakers < 1:
            raise PolicyError("max_breakers", max_breakers, "a whole number from 1")
        self._registry = registry
        self.max_breakers = max_breakers

    def snapshots(self) -> tuple[list[Snapshot], int]:
        """The snapshots, and the number of breakers left out."""
        breakers = self._registry.all()
        shown = breakers[: self.max_breakers]
        return [breaker.snapshot() for breaker in shown], len(breakers) - len(shown)


def cumulative(buckets: Mapping[int, int]) -> list[tuple[float, int]]:
    """For each of `DOUBLINGS`, the bound in seconds and the number of latencies up to it.

    >>> cumulative({-160: 1, -1: 2, 0: 4})[-8:]
    [(0.5, 1), (1.0, 3), (2.0, 7), (4.0, 7), (8.0, 7), (16.0, 7), (32.0, 7), (64.0, 7)]
    """
    bounds = []
    for doubling in DOUBLINGS:
        # Bucket i ends at 2 ** ((i + 1) / SCALE).
        last = doubling * SCALE - 1
        bounds.append((2.0**doubling, sum(n for index, n in buckets.items() if index <= last)))
    return bounds
