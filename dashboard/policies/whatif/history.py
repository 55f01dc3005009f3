"""Replays the ten-second rollups of history through the state machine.

A rollup says how many calls of all instances succeeded, failed, timed out or were refused in ten
seconds, and how long they took; not in which order. The replay assumes:

- Calls are spread evenly over the instances and over the ten seconds; where an outage begins or
  ends in them, they come at the rates before and after. Where most instances opened, the outage
  began as many failures before as the policy in force needed.
- A test call takes as long as the calls of the same ten seconds that ended as it does.
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from breakers.circuit.policy import Policy
from dashboard.fleet.quorum import QuorumRule
from dashboard.policies.whatif.machine import ReplayBreaker, Strip
from dashboard.policies.whatif.pace import Around, Pace, failing
from dashboard.policies.whatif.quorum import ReplayQuorum
from dashboard.policies.whatif.slots import Slot, Took, above, refused_shares, share_of, took

ASSUMPTIONS: Final = (
    "Calls are spread evenly over the instances and, but for a change, over each ten seconds.",
    "A test call takes as long as calls of the same time that ended as it does.",
    "A refused call would have ended as the calls that ran at the same time.",
    "A call that timed out would have timed out under a longer timeout too.",
    "Callers retry as they did.",
    "Instances are in different zones; the quorum rule looks once in ten seconds.",
)
_SLICES: Final = 10


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
    shares = [share_of(slot, each) for slot, each in zip(slots, refused, strict=True)]
    times = Took()
    for index, slot in enumerate(slots):
        times = took(slot, times)
        around = _around(slots, shares, index)
        _replay_slot(slot, refused[index], around, times, policy, breakers, outcome)
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


def _around(slots: Sequence[Slot], shares: Sequence[float], index: int) -> Around:
    """What is known of the slots beside one."""
    before, after = max(0, index - 1), min(index + 1, len(slots) - 1)
    return Around(
        shares[before] if index else 0.0,
        shares[index],
        shares[after],
        slots[before].rate,
        slots[after].rate,
    )


def _replay_slot(
    slot: Slot,
    share: float,
    around: Around,
    times: Took,
    policy: Policy,
    breakers: list[ReplayBreaker],
    outcome: Outcome,
) -> None:
    cut, slow = _cut(slot, policy), _slow(slot, policy)
    offered = slot.offered
    failed = slot.failed + round(slot.rejected * share)
    whole = max(1, slot.success)
    lost = round((offered - failed) * cut / whole)
    around = replace(around, here=(failed + lost) / offered if offered else 0.0)
    for number, breaker in enumerate(breakers):
        mine = _part(offered, number, len(breakers))
        counts = _Calls(
            mine,
            min(mine, _part(failed, number, len(breakers))),
            _part(lost, number, len(breakers)),
            slow / whole,
        )
        _replay_instance(slot, counts, around, times, policy, breaker, outcome, number)


@dataclass(frozen=True, slots=True)
class _Calls:
    offered: int
    failed: int
    cut: int
    slow_share: float


def _replay_instance(
    slot: Slot,
    calls: _Calls,
    around: Around,
    times: Took,
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
    pace = Pace.of(slot, n, bad, around)
    slow = calls.slow_share if policy.slow_call_rate_threshold is not None else 0.0
    rng = random.Random(int(slot.at) * 1009 + number)
    positions = failing(n, bad, around, rng)
    at_cut = set(rng.sample(positions, min(calls.cut, bad))) if calls.cut else set()
    seconds = policy.slow_call_duration or 0.0
    i = next_bad = 0
    while i < n:
        now = pace.at(i)
        until = breaker.open_until(now)
        if until > now:
            resumes = max(i + 1, pace.first_from(until))
            skipped = resumes - i
            avoided = 0
            while next_bad < bad and positions[next_bad] < resumes:
                avoided += positions[next_bad] not in at_cut
                next_bad += 1
            outcome.rejected += skipped
            outcome.failures_avoided += avoided
            outcome.successes_lost += skipped - avoided
            i = resumes
            continue
        here = positions[next_bad] if next_bad < bad else n
        if here == i:
            takes = policy.timeout or 0.0 if i in at_cut else times.failed
            if breaker.replayed(now, "timeout" if i in at_cut else "failure", 0.0, takes):
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
            latency = seconds if is_slow else 0.0
            if not breaker.replayed(now, "success", latency, max(latency, times.success)):
                outcome.rejected += 1
                outcome.successes_lost += 1
            i += 1
        else:
            # A time window needs its successes when they happened.
            run = min(here - i, max(1, n // _SLICES)) if policy.window_type == "time" else here - i
            breaker.succeeded(run, pace.at(i + run - 1))
            i += run


def _part(total: int, number: int, parts: int) -> int:
    """One of `parts` even parts of a whole number."""
    return total * (number + 1) // parts - total * number // parts


def _cut(slot: Slot, policy: Policy) -> int:
    """How many successes took longer than the candidate's timeout."""
    return 0 if policy.timeout is None else above(slot, policy.timeout)


def _slow(slot: Slot, policy: Policy) -> int:
    """How many successes are slow."""
    return 0 if policy.slow_call_duration is None else above(slot, policy.slow_call_duration)
