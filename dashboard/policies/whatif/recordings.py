"""Replays recorded calls, one by one: exact where the candidate lets through what was recorded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from breakers.circuit.policy import Policy
from dashboard.fleet.quorum import QuorumRule
from dashboard.policies.whatif.history import Outcome
from dashboard.policies.whatif.machine import ReplayBreaker
from dashboard.policies.whatif.quorum import ReplayQuorum


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One attempt: when it began (Unix time), at which instance, how it ended, and how long it
    took. The outcome is success, failure, timeout or ignored."""

    at: float
    instance: str
    outcome: str
    seconds: float


def replay_calls(
    calls: Iterable[RecordedCall],
    policy: Policy,
    ends: float,
    rule: QuorumRule | None = None,
) -> Outcome:
    """What `policy` would have done to these calls."""
    pending: list[RecordedCall] = sorted(calls, key=lambda call: (call.at, call.instance))
    outcome = Outcome()
    breakers: dict[str, ReplayBreaker] = {}
    quorum = ReplayQuorum(rule, breakers.values)
    begins = pending[0].at if pending else ends
    for call in pending:
        breaker = breakers.get(call.instance)
        if breaker is None:
            breaker = breakers[call.instance] = ReplayBreaker(policy, begins)
        outcome.calls += 1
        result, seconds = call.outcome, call.seconds
        is_cut = policy.timeout is not None and seconds > policy.timeout and result == "success"
        if is_cut:
            result, seconds = "timeout", policy.timeout or seconds
        is_bad = result in ("failure", "timeout")
        breaker.open_until(call.at)
        if breaker.call_ended(call.at, result, seconds):
            outcome.failures += is_bad
            outcome.cut += is_cut
            outcome.successes_lost += is_cut
        else:
            outcome.rejected += 1
            was_bad = call.outcome in ("failure", "timeout")
            outcome.failures_avoided += was_bad
            outcome.successes_lost += not was_bad
        quorum.look(call.at)
    outcome.quorum_trips = quorum.trips
    for _, breaker in sorted(breakers.items()):
        breaker.open_until(ends)
        breaker.strip.end(ends)
        outcome.strips.append(breaker.strip)
        outcome.open_s += breaker.strip.seconds("open", "forced_open")
        outcome.trips += breaker.trips
    return outcome
