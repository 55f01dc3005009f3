"""The ten-second rollups that a replay of history is fed with, and what can be told from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from breakers.circuit.histogram import bucket_bounds

# Where a slot has fewer test calls, those of so many slots on either side count too.
_FEW: Final = 4
_NEAR: Final = 2


@dataclass(frozen=True, slots=True)
class Slot:
    """One rollup: what ended from `at` on, within `seconds`. `outage_s` is when in it an outage
    begins, in seconds from `at`, where that is known."""

    at: float
    seconds: float = 10.0
    success: int = 0
    failure: int = 0
    timeout: int = 0
    ignored: int = 0
    rejected: int = 0
    buckets: Mapping[int, int] = field(default_factory=dict)
    outage_s: float | None = None

    @property
    def failed(self) -> int:
        return self.failure + self.timeout

    @property
    def ran(self) -> int:
        """Calls that ran and count."""
        return self.success + self.failed

    @property
    def share(self) -> float:
        """The share of the calls that ran and failed."""
        return self.failed / self.ran if self.ran else 0.0

    @property
    def offered(self) -> int:
        """Calls that ran and count, and calls that were refused."""
        return self.ran + self.rejected

    @property
    def rate(self) -> float:
        """Calls offered a second."""
        return self.offered / self.seconds


def refused_shares(slots: Sequence[Slot]) -> list[float]:
    """The share of the refused calls of each slot that would have failed."""
    tested = [index for index, slot in enumerate(slots) if slot.ran and _was_open(slots, index)]
    found: list[float] = []
    place = 0
    for index, slot in enumerate(slots):
        while place < len(tested) and tested[place] < index:
            place += 1
        near = [tested[at] for at in (place - 1, place) if 0 <= at < len(tested)]
        is_little = slot.rejected and slot.ran < _FEW
        around = _share_around(slots, index) if is_little else None
        if around is not None:
            found.append(around)
        elif not slot.rejected or (place < len(tested) and tested[place] == index):
            found.append(slot.share)
        elif not (index and slots[index - 1].rejected):
            # It opened in this slot: what comes before it says nothing of what it refused.
            found.append(slots[tested[place]].share if place < len(tested) else 1.0)
        elif near:
            found.append(slots[min(near, key=lambda each: abs(each - index))].share)
        else:
            found.append(1.0)
    return found


def _was_open(slots: Sequence[Slot], index: int) -> bool:
    """Whether calls were refused from the beginning of a slot on: those that ran were tests."""
    return bool(index and slots[index].rejected and slots[index - 1].rejected)


def _share_around(slots: Sequence[Slot], index: int) -> float | None:
    """The share of the test calls near a slot that failed: one test says little of all calls. None
    where there are none."""
    opened_here = not _was_open(slots, index)
    ran = failed = 0
    for distance in range(_NEAR + 1):
        for at in {index - distance, index + distance}:
            # What comes before it opened says nothing of what it refused.
            is_usable = 0 <= at < len(slots) and not (opened_here and at <= index)
            if is_usable and _was_open(slots, at):
                ran, failed = ran + slots[at].ran, failed + slots[at].failed
        if ran >= _FEW:
            break
    return failed / ran if ran else None


def share_of(slot: Slot, refused: float) -> float:
    """The share of all calls offered in a slot that fail, or would have."""
    offered = slot.ran + slot.rejected
    return (slot.failed + slot.rejected * refused) / offered if offered else 0.0


def above(slot: Slot, seconds: float) -> int:
    """How many successes took longer: the calls that timed out are the slowest, and a bucket that
    holds the limit counts in proportion."""
    longer = 0.0
    for index, count in slot.buckets.items():
        low, high = bucket_bounds(index)
        if low >= seconds:
            longer += count
        elif high > seconds:
            longer += count * (high - seconds) / (high - low)
    return max(0, min(slot.success, round(longer) - slot.timeout))


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds that calls of a slot took, on average: those that failed, and those that did not."""

    success: float = 0.0
    failed: float = 0.0


def took(slot: Slot, before: Took) -> Took:
    """How long the calls of a slot took; where none ran, as long as `before`. The calls that timed
    out are the slowest."""
    if not slot.ran or not slot.buckets:
        return before
    left, slowest = slot.timeout, 0.0
    count = total = 0.0
    for index in sorted(slot.buckets, reverse=True):
        low, high = bucket_bounds(index)
        n, middle = slot.buckets[index], (low + high) / 2
        late = min(left, n)
        left -= late
        slowest += late * middle
        count += n - late
        total += (n - late) * middle
    mean = total / count if count else before.success
    failed = (slowest + slot.failure * mean) / slot.failed if slot.failed else before.failed
    return Took(mean if slot.success else before.success, failed)
