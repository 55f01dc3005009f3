"""Replays recorded calls one by one, each with its start and its end.

The replay is exact where the candidate lets through only calls that were let through when they
were recorded. A call that was refused then has no outcome of its own: it is taken to end as the
next call at its instance that ran, or the last one. `assumed` counts these calls. The replay begins
closed, with an empty window, at the start of the recording; the jitter of open times is at its
mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

from breakers.circuit.admission import Ticket
from breakers.circuit.policy import Policy
from dashboard.fleet.quorum import QuorumRule
from dashboard.policies.whatif.history import Outcome
from dashboard.policies.whatif.machine import ReplayBreaker
from dashboard.policies.whatif.quorum import ReplayQuorum

ASSUMPTIONS: Final = (
    "Each recorded call is replayed with its own start, outcome and latency.",
    "A call that was refused when it was recorded would have ended as the next one that ran.",
    "The replay begins closed, with an empty window.",
    "A call that timed out would have timed out under a longer timeout too.",
    "Callers retry as they did.",
)
_END, _START = 0, 1
_FAILED: Final = ("failure", "timeout")


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One attempt: when it began (Unix time), at which instance, how it ended, and how long it
    took. The outcome is success, failure, timeout, ignored, cancelled or rejected."""

    at: float
    instance: str
    outcome: str
    seconds: float


@dataclass(slots=True)
class RecordedOutcome(Outcome):
    """What a policy would have done to recorded calls. `assumed` counts those that were refused and
    that it would have let through: their outcome is not known. `refused_now` counts those that ran
    and that it would have refused."""

    assumed: int = 0
    refused_now: int = 0

    @property
    def differing(self) -> int:
        """The calls that go otherwise than they went. Under the policy that was in force, with the
        same open times, there is none."""
        return self.assumed + self.refused_now


def replay_calls(
    calls: Iterable[RecordedCall],
    policy: Policy,
    ends: float,
    rule: QuorumRule | None = None,
    progress: Callable[[float], None] = lambda share: None,
    starts: Mapping[str, float] | None = None,
    recorded_timeout: float | None = None,
) -> RecordedOutcome:
    """What `policy` would have done to these calls, in the order in which they ended at each
    instance. `starts` is when the recording of each instance began: windows of time begin then.

    `recorded_timeout` was in force then. A call that succeeded although it took a little longer,
    because its process was busy, would not be cut by it now either."""
    pending = list(calls)
    known = _outcomes(pending)
    outcome = RecordedOutcome()
    breakers: dict[str, ReplayBreaker] = {}
    quorum = ReplayQuorum(rule, breakers.values)
    begins = min((call.at for call in pending), default=ends)
    for call in pending:
        if call.instance not in breakers:
            start = min(begins, (starts or {}).get(call.instance, begins))
            breakers[call.instance] = ReplayBreaker(policy, start)
    running: dict[int, tuple[Ticket, float, str]] = {}
    cut_at = policy.timeout
    if cut_at is not None and recorded_timeout is not None and cut_at >= recorded_timeout:
        cut_at = None
    # Ends before starts, so that a call that begins when another ends finds what that has done.
    events = [(call.at, _START, index) for index, call in enumerate(pending)]
    events.sort()
    ended: list[tuple[float, int, int]] = []
    for done, event in enumerate(events):
        while ended and ended[0] < event:
            _end(pending, heappop(ended), breakers, running)
        at, _, index = event
        call = pending[index]
        breaker = breakers[call.instance]
        outcome.calls += 1
        result, seconds = known[index]
        is_cut = cut_at is not None and seconds > cut_at and result == "success"
        if is_cut:
            result, seconds = "timeout", cut_at or seconds
        breaker.open_until(at)
        ticket = breaker.started(at)
        if ticket is not None:
            running[index] = (ticket, seconds, result)
            heappush(ended, (at + seconds, _END, index))
            outcome.failures += result in _FAILED
            outcome.cut += is_cut
            outcome.successes_lost += is_cut
            outcome.assumed += call.outcome == "rejected"
        else:
            outcome.rejected += 1
            outcome.refused_now += call.outcome != "rejected"
            outcome.failures_avoided += known[index][0] in _FAILED
            outcome.successes_lost += known[index][0] == "success"
        quorum.look(at)
        if done % 2048 == 0:
            progress(done / len(pending))
    while ended:
        _end(pending, heappop(ended), breakers, running)
    outcome.quorum_trips = quorum.trips
    for _, breaker in sorted(breakers.items()):
        breaker.open_until(ends)
        breaker.strip.end(ends)
        outcome.strips.append(breaker.strip)
        outcome.open_s += breaker.strip.seconds("open", "forced_open")
        outcome.trips += breaker.trips
    progress(1.0)
    return outcome


def _end(
    pending: list[RecordedCall],
    event: tuple[float, int, int],
    breakers: dict[str, ReplayBreaker],
    running: dict[int, tuple[Ticket, float, str]],
) -> None:
    at, _, index = event
    ticket, seconds, result = running.pop(index)
    breaker = breakers[pending[index].instance]
    breaker.open_until(at)
    breaker.ended(ticket, at, seconds, None if result == "cancelled" else result)


def _outcomes(calls: list[RecordedCall]) -> list[tuple[str, float]]:
    """The outcome and latency of each call; those of refused calls are assumed."""
    found = [(call.outcome, call.seconds) for call in calls]
    latest: dict[str, tuple[str, float]] = {}
    order = sorted(range(len(calls)), key=lambda index: calls[index].at)
    for index in reversed(order):
        call = calls[index]
        if call.outcome != "rejected":
            latest[call.instance] = found[index]
        elif call.instance in latest:
            found[index] = latest[call.instance]
    for index in order:
        call = calls[index]
        if call.outcome != "rejected":
            latest[call.instance] = found[index]
        elif found[index][0] == "rejected":
            found[index] = latest.get(call.instance, ("failure", 0.0))
    return found


def as_json(outcome: RecordedOutcome) -> dict[str, object]:
    """For a page: the fields of `Outcome`, `assumed` and `differing`."""
    return {**outcome.as_dict(), "assumed": outcome.assumed, "differing": outcome.differing}
