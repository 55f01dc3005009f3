"""How fast a day of one breaker is replayed, and how wrong a replay is.

    python -m benchmarks.whatif

The truth is known of two incidents. One is of the shop, recorded by its own processes: what they
did to each call, and the states they reported (`benchmarks.recorded`). It is replayed under the
policy that was in force.

The other is simulated, so that the truth of a candidate is known: an incident of half an hour at
four instances, call by call: a dependency that fails for ten minutes, recovers partly, and fails
again. The candidate's own breakers see every call and their states and refusals are kept. The same
calls are then replayed from ten-second rollups and the times at which breakers opened, as history
keeps them under the policy that was in force, and from the recording of each call.

The error is the share of seconds in which the replayed state differs from the truth, or the share
of refused calls that differ, whichever is larger; the last line has the larger of both incidents.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf

from benchmarks import recorded
from breakers.circuit.admission import Ticket
from breakers.circuit.breaker import CircuitBreaker
from breakers.circuit.histogram import bucket_index
from breakers.circuit.policy import Policy
from breakers.errors import CircuitBreakerOpen
from breakers.testing import FakeClock
from dashboard.policies.whatif.history import Outcome, replay
from dashboard.policies.whatif.openings import place_outages
from dashboard.policies.whatif.recordings import RecordedCall, replay_calls
from dashboard.policies.whatif.slots import Slot

RATE = 25.0  # calls a second at each instance
INSTANCES = 4
MINUTES = 30
DAY_RATE = 50


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.whatif", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seed", type=int, default=247)
    seed = parser.parse_args().seed
    calls = list(incident(seed))
    in_force = Policy(failure_threshold=5, timeout_duration=30.0)
    candidate = Policy(failure_threshold=10, timeout_duration=60.0)
    truth = run(calls, candidate)
    lived = run(calls, in_force)
    slots = place_outages(lived.slots, lived.changes, in_force, INSTANCES)
    from_history = replay(slots, candidate, INSTANCES)
    from_calls = replay_calls(
        [RecordedCall(each.at, each.instance, each.outcome, each.seconds) for each in calls],
        candidate,
        MINUTES * 60.0,
    )
    simulated = error(truth, from_history), error(truth, from_calls)
    print(
        f"simulated: {truth.rejected} of {len(calls)} calls refused; "
        f"history {from_history.rejected}, recording {from_calls.rejected}; "
        f"errors {simulated[0]:.2f} % and {simulated[1]:.2f} %"
    )
    incident_of_shop = recorded.load()
    of_shop = incident_of_shop.replay_history(), incident_of_shop.replay_recording()
    errors = [incident_of_shop.error(each) for each in of_shop]
    print(
        f"shop: {incident_of_shop.refused} of {len(incident_of_shop.calls)} calls refused; "
        f"history {of_shop[0].rejected}, recording {of_shop[1].rejected}, "
        f"{of_shop[1].differing} calls differ; errors {errors[0]:.2f} % and {errors[1]:.2f} %"
    )
    print(
        f"whatif day_s={day_seconds():.2f} history_error={max(simulated[0], errors[0]):.2f} "
        f"recording_error={max(simulated[1], errors[1]):.2f}"
    )


@dataclass(frozen=True, slots=True)
class Call:
    at: float
    instance: str
    outcome: str
    seconds: float


def incident(seed: int) -> Iterator[Call]:
    """Every call as it would have ended had it been let through, in order."""
    rng = random.Random(seed)
    pending = []
    for number in range(INSTANCES):
        at = 0.0
        while at < MINUTES * 60:
            at += rng.expovariate(RATE)
            pending.append((at, f"web-{number}"))
    for at, instance in sorted(pending):
        share = failing(at)
        failed = rng.random() < share
        seconds = 0.2 if failed else rng.lognormvariate(-3.5, 0.6)
        yield Call(at, instance, "failure" if failed else "success", seconds)


def failing(at: float) -> float:
    """The share of calls that fail at a time of the incident."""
    minute = at / 60
    if 5.03 <= minute < 15.41 or 20.27 <= minute < 24.0:
        return 1.0
    return 0.3 if 15.41 <= minute < 16.5 else 0.002


@dataclass
class Truth:
    """What a policy really did: refusals, the state of each instance once a second, the times of
    its changes, and the rollups."""

    rejected: int
    states: dict[str, list[str]]
    changes: dict[str, list[tuple[float, str]]]
    slots: list[Slot]


def run(calls: list[Call], policy: Policy) -> Truth:
    """The real breakers of four instances on these calls; the states are read once a second."""
    clock = FakeClock()
    start = clock.monotonic()
    breakers = {
        f"web-{n}": CircuitBreaker(
            registry=None, clock=clock, random=lambda: 0.5, **policy.as_dict()
        )
        for n in range(INSTANCES)
    }
    states: dict[str, list[str]] = {name: [] for name in breakers}
    changes = {name: [(0.0, "closed")] for name in breakers}
    for name, each in breakers.items():
        each.add_listener(
            lambda record, kept=changes[name]: kept.append(  # type: ignore[misc]
                (clock.monotonic() - start, record.after.value)
            )
        )
    counts: dict[int, Counter[str]] = {}
    sketches: dict[int, Counter[int]] = {}
    rejected, second = 0, 0
    running: list[tuple[float, int, Call, Ticket]] = []

    def end_until(at: float) -> None:
        while running and running[0][0] <= at:
            ends, _, call, ticket = heappop(running)
            clock.advance(max(0.0, start + ends - clock.monotonic()))
            breakers[call.instance]._record(ticket, clock.monotonic(), call.seconds, call.outcome)
            bucket = int(ends // 10) * 10
            counts.setdefault(bucket, Counter())[call.outcome] += 1
            sketches.setdefault(bucket, Counter())[bucket_index(call.seconds)] += 1

    for number, call in enumerate(calls):
        while second + 0.5 <= call.at and second < MINUTES * 60:
            end_until(second + 0.5)
            clock.advance(max(0.0, start + second + 0.5 - clock.monotonic()))
            for name, each in breakers.items():
                states[name].append(each.state.value)
            second += 1
        end_until(call.at)
        clock.advance(max(0.0, start + call.at - clock.monotonic()))
        try:
            ticket, _ = breakers[call.instance].enter()
        except CircuitBreakerOpen:
            rejected += 1
            bucket = int(call.at // 10) * 10
            counts.setdefault(bucket, Counter())["rejected"] += 1
            continue
        heappush(running, (call.at + call.seconds, number, call, ticket))
    end_until(inf)
    slots = [
        Slot(
            at=bucket,
            success=counts[bucket]["success"],
            failure=counts[bucket]["failure"],
            rejected=counts[bucket]["rejected"],
            buckets=dict(sketches.get(bucket, {})),
        )
        for bucket in sorted(counts)
    ]
    return Truth(rejected, states, changes, slots)


def error(truth: Truth, found: Outcome) -> float:
    """The larger error, in percent."""
    seconds = wrong = 0
    for states, strip in zip(truth.states.values(), found.strips, strict=True):
        for second, state in enumerate(states):
            at = second + 0.5
            shown = next((p.state for p in strip.pieces if p.begins <= at < p.ends), "closed")
            seconds += 1
            wrong += shown != state
    refused = abs(found.rejected - truth.rejected) / max(1, truth.rejected)
    return 100 * max(wrong / seconds, refused)


def day_seconds() -> float:
    """How long a day of one breaker takes: 50 calls a second, three incidents."""
    rng = random.Random(1)
    slots = []
    for n in range(8640):
        calls = DAY_RATE * 10
        down = any(begin <= n < begin + 60 for begin in (1000, 4000, 7000))
        failed = calls if down else sum(rng.random() < 0.002 for _ in range(calls))
        slots.append(Slot(n * 10.0, success=calls - failed, failure=failed, buckets={-30: calls}))
    begin = time.perf_counter()
    replay(slots, Policy(failure_rate_threshold=0.5, timeout=1.0), INSTANCES)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
