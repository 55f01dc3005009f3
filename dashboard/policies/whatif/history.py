"""Replays the ten-second rollups of history through the state machine.

A rollup says how many calls of all instances succeeded, failed, timed out or were refused in ten
seconds, and how long they took; not in which order. The replay assumes:

- Calls are spread evenly over the instances and over the ten seconds.
- A call that was refused would have ended as the test calls of the same ten seconds did, or of the
  nearest in time; where there were fewer than four, those within twenty seconds count too. Where
  the breaker has just opened, it would have ended as the next test calls.
- Where a rollup has more failures than the one before it and fewer than the one after, its failures
  come last; where failures recede, they come first; otherwise they are spread at random (the same
  at every replay).
- A call that timed out would have timed out under a longer timeout too. One that succeeded after
  more than the candidate's timeout would have timed out.
- Callers do not retry differently than they did.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from breakers.circuit.histogram import bucket_bounds
from breakers.circuit.policy import Policy
from dashboard.fleet.quorum import QuorumRule
from dashboard.policies.whatif.machine import ReplayBreaker, Strip
from dashboard.policies.whatif.quorum import ReplayQuorum

ASSUMPTIONS: Final = (
    "Calls are spread evenly over the instances and over each ten seconds.",
    "A refused call would have ended as the calls that ran at the same time.",
    "A call that timed out would have timed out under a longer timeout too.",
    "Callers retry as they did.",
    "Instances are in different zones; the quorum rule looks once in ten seconds.",
)
_SLICES: Final = 10
# Where a slot has fewer test calls, those of so many slots on either side count too.
_FEW: Final = 4
_NEAR: Final = 2


@dataclass(frozen=True, slots=True)
class Slot:
    """One rollup: what ended from `at` on, within `seconds`."""

    at: float
    seconds: float = 10.0
    success: int = 0
    failure: int = 0
    timeout: int = 0
    ignored: int = 0
    rejected: int = 0
    buckets: Mapping[int, int] = field(default_factory=dict)

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


@dataclass(slots=True)
class Outcome:
    """What a policy did, or would have done."""

    calls: int = 0
    rejected: int = 0
    failures: int = 0
    failures_avoided: int = 0
    successes_lost: int = 0
    cut: int = 0
    trips: int = 0
    quorum_trips: int = 0
    open_s: float = 0.0
    strips: list[Strip] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "calls": self.calls,
            "rejected": self.rejected,
            "failures": self.failures,
            "failures_avoided": self.failures_avoided,
            "successes_lost": self.successes_lost,
            "cut": self.cut,
            "trips": self.trips,
            "quorum_trips": self.quorum_trips,
            "open_s": round(self.open_s, 3),
            "strips": [
                [[each.begins, each.ends, each.state] for each in strip.pieces]
                for strip in self.strips
            ],
        }


class Cancelled(Exception):
    """The person who asked for a replay has cancelled it."""


def replay(
    slots: Sequence[Slot],
    policy: Policy,
    instances: int,
    progress: Callable[[float], None] = lambda share: None,
    rule: QuorumRule | None = None,
) -> Outcome:
    """What `policy` would have done to this traffic. `progress` is called with the share that is
    done; it may raise `Cancelled`."""
    if not slots:
        return Outcome()
    instances = max(1, instances)
    breakers = [ReplayBreaker(policy, slots[0].at) for _ in range(instances)]
    outcome = Outcome(strips=[each.strip for each in breakers])
    # Within a slot the order of calls is not known: the rule looks once a slot.
    if rule is not None:
        rule = replace(rule, within_s=rule.within_s + slots[0].seconds)
    quorum = ReplayQuorum(rule, lambda: breakers)
    refused = refused_shares(slots)
    shares = [_share(slot, each) for slot, each in zip(slots, refused, strict=True)]
    for index, slot in enumerate(slots):
        before = shares[index - 1] if index else 0.0
        after = shares[index + 1] if index + 1 < len(slots) else shares[index]
        _replay_slot(slot, refused[index], (before, after), policy, breakers, outcome)
        quorum.look(slot.at + slot.seconds)
        if index % 64 == 0:
            progress(index / len(slots))
    ends = slots[-1].at + slots[-1].seconds
    for each in breakers:
        each.open_until(ends)
        each.strip.end(ends)
        outcome.open_s += each.strip.seconds("open", "forced_open")
        outcome.trips += each.trips
    outcome.quorum_trips = quorum.trips
    progress(1.0)
    return outcome


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


def _share(slot: Slot, refused: float) -> float:
    """The share of all calls offered in a slot that fail, or would have."""
    offered = slot.ran + slot.rejected
    return (slot.failed + slot.rejected * refused) / offered if offered else 0.0


def _replay_slot(
    slot: Slot,
    share: float,
    around: tuple[float, float],
    policy: Policy,
    breakers: list[ReplayBreaker],
    outcome: Outcome,
) -> None:
    cut, slow = _cut(slot, policy), _slow(slot, policy)
    offered = slot.ran + slot.rejected
    failed = slot.failed + round(slot.rejected * share)
    whole = max(1, slot.success)
    lost = round((offered - failed) * cut / whole)
    before, after = around
    bad = (failed + lost) / offered if offered else 0.0
    for number, breaker in enumerate(breakers):
        mine = _part(offered, number, len(breakers))
        counts = _Calls(
            mine,
            min(mine, _part(failed, number, len(breakers))),
            _part(lost, number, len(breakers)),
            slow / whole,
        )
        _replay_instance(slot, counts, (before, bad, after), policy, breaker, outcome, number)


@dataclass(frozen=True, slots=True)
class _Calls:
    offered: int
    failed: int
    cut: int
    slow_share: float


def _replay_instance(
    slot: Slot,
    calls: _Calls,
    shares: tuple[float, float, float],
    policy: Policy,
    breaker: ReplayBreaker,
    outcome: Outcome,
    number: int,
) -> None:
    n = calls.offered
    outcome.calls += n
    bad = min(n, calls.failed + calls.cut)
    if not n:
        breaker.open_until(slot.at + slot.seconds)
        return
    step = slot.seconds / n
    slow = calls.slow_share if policy.slow_call_rate_threshold is not None else 0.0
    rng = random.Random(int(slot.at) * 1009 + number)
    positions = _places(n, bad, shares, rng)
    at_cut = set(rng.sample(positions, min(calls.cut, bad))) if calls.cut else set()
    seconds = policy.slow_call_duration or 0.0
    i = next_bad = 0
    while i < n:
        now = slot.at + (i + 0.5) * step
        until = breaker.open_until(now)
        if until > now:
            resumes = min(n, max(i + 1, int((until - slot.at) / step + 0.5)))
            skipped = resumes - i
            failing = 0
            while next_bad < bad and positions[next_bad] < resumes:
                failing += positions[next_bad] not in at_cut
                next_bad += 1
            outcome.rejected += skipped
            outcome.failures_avoided += failing
            outcome.successes_lost += skipped - failing
            i = resumes
            continue
        here = positions[next_bad] if next_bad < bad else n
        if here == i:
            if breaker.call_ended(now, "timeout" if i in at_cut else "failure", 0.0):
                outcome.failures += 1
                outcome.cut += i in at_cut
                outcome.successes_lost += i in at_cut
            else:
                outcome.rejected += 1
                outcome.failures_avoided += i not in at_cut
            next_bad += 1
            i += 1
        elif slow or not breaker.is_closed:
            is_slow = bool(slow) and rng.random() < slow
            if not breaker.call_ended(now, "success", seconds if is_slow else 0.0):
                outcome.rejected += 1
                outcome.successes_lost += 1
            i += 1
        else:
            # A time window needs its successes when they happened.
            run = min(here - i, max(1, n // _SLICES)) if policy.window_type == "time" else here - i
            breaker.succeeded(run, now + (run - 1) * step)
            i += run


def _places(n: int, bad: int, shares: tuple[float, float, float], rng: random.Random) -> list[int]:
    """Which of n calls fail, in order."""
    before, here, after = shares
    if not bad or bad >= n:
        return list(range(bad))
    if before < here < after and after > 2 * before:
        return list(range(n - bad, n))
    if before > here > after and before > 2 * after:
        return list(range(bad))
    return sorted(rng.sample(range(n), bad))


def _part(total: int, number: int, parts: int) -> int:
    """One of `parts` even parts of a whole number."""
    return total * (number + 1) // parts - total * number // parts


def _cut(slot: Slot, policy: Policy) -> int:
    """How many successes took longer than the candidate's timeout."""
    return 0 if policy.timeout is None else above(slot, policy.timeout)


def _slow(slot: Slot, policy: Policy) -> int:
    """How many successes are slow."""
    return 0 if policy.slow_call_duration is None else above(slot, policy.slow_call_duration)


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
