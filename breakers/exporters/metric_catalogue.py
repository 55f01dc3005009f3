"""What exporters look at, and how much of it: shared by all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from breakers.circuit.histogram import SCALE
from breakers.circuit.records import CALL_OUTCOMES, OUTCOMES, Snapshot
from breakers.circuit.registry import Registry
from breakers.circuit.states import State
from breakers.errors import PolicyError

# Each call ends in exactly one of these; a slow one is counted apart.
ENDS: Final = tuple(name for name in OUTCOMES if name in CALL_OUTCOMES and name != "slow")
# What happens around calls.
EVENTS: Final = tuple(name for name in OUTCOMES if name not in CALL_OUTCOMES)
STATES: Final = tuple(State)
# Bounds of latencies for those who have no exponential buckets: a doubling each, from 122 µs to
# 64 s. The bounds of ours are among them, so that nothing is counted on the wrong side of one.
DOUBLINGS: Final = tuple(range(-13, 7))


class Looks:
    """Snapshots of a registry's breakers, of at most `max_breakers`, the oldest first.

    Raises:
        PolicyError: `max_breakers` is below 1.
    """

    def __init__(self, registry: Registry, max_breakers: int) -> None:
        if isinstance(max_breakers, bool) or not isinstance(max_breakers, int) or max_breakers < 1:
            raise PolicyError("max_breakers", max_breakers, "a whole number from 1")
        self._registry = registry
        self.max_breakers = max_breakers

    def take(self) -> tuple[list[Snapshot], int]:
        """The snapshots, and how many breakers were left out."""
        all_of_them = self._registry.all()
        shown = all_of_them[: self.max_breakers]
        return [breaker.snapshot() for breaker in shown], len(all_of_them) - len(shown)


def cumulative(buckets: Mapping[int, int]) -> list[tuple[float, int]]:
    """For each of `DOUBLINGS`, the bound in seconds and how many latencies are not above it.

    >>> cumulative({-160: 1, -1: 2, 0: 4})[-8:]
    [(0.5, 1), (1.0, 3), (2.0, 7), (4.0, 7), (8.0, 7), (16.0, 7), (32.0, 7), (64.0, 7)]
    """
    bounds = []
    for doubling in DOUBLINGS:
        # Bucket i ends at 2 ** ((i + 1) / SCALE).
        last = doubling * SCALE - 1
        bounds.append((2.0**doubling, sum(n for index, n in buckets.items() if index <= last)))
    return bounds
