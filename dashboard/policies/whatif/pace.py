"""When the calls of a slot are made, and which of them fail.

A rollup has no order. Where an outage begins or ends in a slot, the calls before the change come at
the rate of the slot before, and those after it at the rate of the slot after. Where it is known
when an outage began (see `openings`), the change is there.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from math import ceil
from typing import Self

from dashboard.policies.whatif.slots import Slot


@dataclass(frozen=True, slots=True)
class Around:
    """The shares of calls that fail before, in and after a slot, and the rates of calls around."""

    before: float
    here: float
    after: float
    rate_before: float = 0.0
    rate_after: float = 0.0

    @property
    def begins(self) -> bool:
        """Whether an outage begins here."""
        return self.before < self.here < self.after and self.after > 2 * self.before

    @property
    def ends(self) -> bool:
        """Whether an outage ends here."""
        return self.before > self.here > self.after and self.before > 2 * self.after


@dataclass(frozen=True, slots=True)
class Pace:
    """The times of the calls of one slot: `first` of the `n` come evenly in the first `change_s`
    seconds, the others evenly in the rest."""

    begins: float
    seconds: float
    n: int
    first: int
    change_s: float

    @classmethod
    def of(cls, slot: Slot, n: int, bad: int, around: Around) -> Self:
        """For one instance's `n` calls in a slot, of which `bad` fail."""
        first = n - bad if around.begins else bad if around.ends else n
        change_s = slot.seconds
        if around.begins and 0 < first < n and slot.outage_s:
            change_s = min(slot.outage_s, 0.999 * slot.seconds)
        elif 0 < first < n and around.rate_before and around.rate_after:
            early, late = first / around.rate_before, (n - first) / around.rate_after
            change_s *= early / (early + late)
        else:
            first = n
        return cls(slot.at, slot.seconds, n, first, change_s)

    def at(self, i: int) -> float:
        """When call i is made."""
        if i < self.first:
            return self.begins + (i + 0.5) * self.change_s / self.first
        step = (self.seconds - self.change_s) / (self.n - self.first)
        return self.begins + self.change_s + (i - self.first + 0.5) * step

    def first_from(self, at: float) -> int:
        """The first call that is not made before a time; `n` where there is none."""
        found = _index(at - self.begins, self.change_s, self.first)
        if found < self.first or self.first == self.n:
            return min(found, self.n)
        rest = self.n - self.first
        late = _index(at - self.begins - self.change_s, self.seconds - self.change_s, rest)
        return min(self.n, self.first + late)


def _index(after_s: float, seconds: float, n: int) -> int:
    return max(0, ceil(after_s * n / seconds - 0.5 - 1e-9))


def failing(n: int, bad: int, around: Around, rng: random.Random) -> list[int]:
    """Which of n calls fail, in order."""
    if not bad or bad >= n:
        return list(range(bad))
    if around.begins:
        return list(range(n - bad, n))
    if around.ends:
        return list(range(bad))
    return sorted(rng.sample(range(n), bad))
