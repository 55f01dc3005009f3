"""Where outages begin in their rollups, from the times at which the breaker really opened.

A rollup of ten seconds says how many calls failed, not when the first of them did. The instances
have reported when they opened by themselves. Under the policy that was in force it took a known
number of failures to open, so the failures began by so many calls before.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import Final

from breakers.circuit.policy import Policy
from dashboard.policies.whatif.slots import Slot

Strips = Mapping[str, Sequence[tuple[float, str]]]
# An outage that only some instances have noticed is not placed by what these did.
_MOST: Final = 0.5


def place_outages(
    slots: Sequence[Slot], strips: Strips, policy: Policy, instances: int
) -> list[Slot]:
    """The slots, with `outage_s` where most of the instances opened and nothing was refused before.

    `strips` has the beginning and the state of each piece, for each instance; `policy` is the one
    that was in force.
    """
    openings = sorted(at for pieces in strips.values() for at in _openings(pieces))
    needed = failures_to_open(policy)
    placed: list[Slot] = []
    for index, slot in enumerate(slots):
        first, after = (bisect_left(openings, slot.at + each) for each in (0.0, slot.seconds))
        here = openings[first:after]
        refused_before = index and slots[index - 1].rejected
        if needed and not refused_before and len(here) >= max(1, _MOST * instances):
            placed.append(replace(slot, outage_s=_begins_s(slot, median(here), needed, instances)))
        else:
            placed.append(slot)
    return placed


def failures_to_open(policy: Policy) -> int:
    """How many failures one after another open a breaker that had none; 0 where none do."""
    by_rate = policy.failure_rate_threshold
    ways = [
        policy.failure_threshold,
        None if by_rate is None else max(1, math.ceil(by_rate * policy.minimum_calls)),
    ]
    return min((each for each in ways if each), default=0)


def _openings(pieces: Sequence[tuple[float, str]]) -> Iterator[float]:
    """When one instance opened, having been closed."""
    for (_, before), (at, state) in pairwise(pieces):
        if before == "closed" and state == "open":
            yield at


def _begins_s(slot: Slot, opened_at: float, needed: int, instances: int) -> float | None:
    """Seconds from the slot's beginning to the first failure, so that the last that was needed
    comes when the breaker opened: failures and refusals come evenly from the first to the slot's
    end. None where they are too few, or began before the slot."""
    bad = (slot.failed + slot.rejected) / instances
    part = (needed - 0.5) / bad if bad else 1.0
    if part >= 1.0:
        return None
    begins_s = (opened_at - slot.at - slot.seconds * part) / (1.0 - part)
    return begins_s if begins_s > 0.0 else None
