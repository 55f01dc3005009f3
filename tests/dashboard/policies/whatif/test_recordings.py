"""Replays of recordings: exact, call by call, from the breaker's recorder to the what-if.

The incident of the shop is played at real breakers with overlapping calls, on a fake clock. Their
flight recorder, their agent, the wire and the store carry the calls; what the breakers really did
(their state at each second, the calls they refused) is kept as the truth.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from breakers import CircuitBreaker, CircuitBreakerOpen
from breakers.agent.recordings import Recordings, Speaker
from breakers.circuit.policy import Policy
from breakers.protocol import messages as wire
from breakers.protocol.codec import MSGPACK
from breakers.testing import FakeClock
from dashboard.access.models import Person
from dashboard.history import recordings
from dashboard.policies.models import Replay
from dashboard.policies.tasks import run_replays
from dashboard.policies.whatif import runs
from dashboard.policies.whatif.recordings import RecordedCall, RecordedOutcome, replay_calls

pytestmark = pytest.mark.django_db
SECONDS = 240
IN_FORCE = Policy(failure_threshold=5, timeout_duration=20.0)
CANDIDATES = [
    IN_FORCE,
    Policy(failure_threshold=12, timeout_duration=35.0, success_threshold=3),
    Policy(failure_threshold=None, failure_rate_threshold=0.5, minimum_calls=20, window_size=40),
    Policy(failure_threshold=None, failure_rate_threshold=0.3, window_type="time", window_size=10),
    Policy(slow_call_duration=0.4, slow_call_rate_threshold=0.5, minimum_calls=10),
]


@dataclass
class Truth:
    """What the breakers really did."""

    states: dict[str, list[str]] = field(default_factory=dict)
    rejected: int = 0
    sent: list[wire.Recording] = field(default_factory=list)


def outcome_at(at: float, rng: random.Random) -> tuple[bool, float]:
    """Posts hangs from second 60 to 130 and half of its calls fail until second 160."""
    if 60 <= at < 130:
        return True, rng.uniform(0.3, 1.2)
    if 130 <= at < 160 and rng.random() < 0.5:
        return True, rng.uniform(0.2, 0.8)
    return rng.random() < 0.01, rng.lognormvariate(-2.5, 0.8)


def play(policy: Policy, watches_only: bool, seed: int = 247) -> Truth:
    """The incident at two instances; calls overlap. With `watches_only` nothing is refused."""
    clock, truth = FakeClock(), Truth()
    zero = clock.monotonic()
    rng = random.Random(seed)
    for name in ("web-1", "web-2"):
        breaker = CircuitBreaker(
            name="posts", registry=None, clock=clock, random=lambda: 0.5, **policy.as_dict()
        )
        if watches_only:
            breaker.set_override("metrics_only")
        agent = Recordings(
            Speaker("shop", wire.Instance(name), "b1"),
            lambda breaker=breaker: [breaker],  # type: ignore[misc]
            clock.monotonic,
        )
        agent.order([wire.RecordingOrder("o1", "posts", 600.0)])
        calls = [(rng.uniform(0, SECONDS), *outcome_at(0, rng)) for _ in range(4000)]
        events: list[tuple[float, int, int, Any]] = [
            (at, 1, n, None) for n, (at, _, _) in enumerate(calls)
        ]
        events += [(second + 0.5, 2, second, None) for second in range(SECONDS)]
        events.sort()
        queue: list[tuple[float, int, int, Any]] = []
        states = truth.states[name] = []
        for event in [*events, (SECONDS + 9.0, 3, 0, None)]:
            heappush(queue, event)
        while queue:
            at, kind, n, ticket = heappop(queue)
            clock.advance(max(0.0, zero + at - clock.monotonic()))
            if kind == 0:
                breaker.leave(ticket[0], ticket[1], OSError() if ticket[2] else None)
            elif kind == 1:
                fails, seconds = outcome_at(at, rng)
                try:
                    ticket, start = breaker.enter()
                except CircuitBreakerOpen:
                    truth.rejected += 1
                    continue
                heappush(queue, (at + seconds, 0, n, (ticket, start, fails)))
            elif kind == 2:
                states.append(breaker.state.value)
                agent.collect()
                truth.sent += agent.take()
        agent.order([])
        truth.sent += agent.take()
        zero = clock.monotonic()
    return truth


def stored(truth: Truth) -> list[RecordedCall]:
    """The calls of the recordings, over the wire and out of the database, from time zero on."""
    now = time.time()
    for each in truth.sent:
        message = MSGPACK.from_agent(MSGPACK.encode(each))
        assert isinstance(message, wire.Recording)
        recordings.store("shop", message, now - 300 + message.age_s)
    starts = recordings.starts("shop", "posts", 0, 2 * now)
    return [
        RecordedCall(call.at - starts[call.instance], call.instance, call.outcome, call.seconds)
        for call in recordings.calls("shop", "posts", 0, 2 * now)
    ]


ZERO = {"web-1": 0.0, "web-2": 0.0}


def error(truth: Truth, found: RecordedOutcome) -> float:
    """The larger of two shares: seconds in a wrong state, and refused calls that differ."""
    wrong = seconds = 0
    for states, strip in zip(truth.states.values(), found.strips, strict=True):
        for second, state in enumerate(states):
            at = second + 0.5
            shown = [each.state for each in strip.pieces if each.begins <= at < each.ends]
            wrong += (shown or ["closed"])[-1] != state
            seconds += 1
    return max(wrong / seconds, abs(found.rejected - truth.rejected) / max(1, truth.rejected))


@pytest.mark.parametrize("candidate", CANDIDATES, ids=range(len(CANDIDATES)))
def test_a_replay_of_calls_that_were_all_let_through_is_exact(candidate: Policy) -> None:
    recorded = stored(play(IN_FORCE, watches_only=True))
    found = replay_calls(recorded, candidate, SECONDS + 9.0, starts=ZERO)
    truth = play(candidate, watches_only=False)
    assert truth.rejected > 0
    assert found.assumed == 0
    assert error(truth, found) == 0


def test_a_replay_of_what_was_in_force_refuses_what_was_refused() -> None:
    truth = play(IN_FORCE, watches_only=False)
    found = replay_calls(stored(truth), IN_FORCE, SECONDS + 9.0, starts=ZERO)
    assert found.assumed == 0
    assert found.rejected == truth.rejected
    assert error(truth, found) == 0


def test_calls_that_were_refused_and_would_pass_are_counted_as_assumed() -> None:
    truth = play(IN_FORCE, watches_only=False)
    found = replay_calls(stored(truth), Policy(failure_threshold=200), SECONDS + 9.0, starts=ZERO)
    assert found.assumed > 0


def test_a_what_if_of_recordings_runs_as_a_task(operator: Person) -> None:
    now = time.time()
    with pytest.raises(ValidationError, match="record the breaker first"):
        runs.ask(operator, "shop", "posts", {}, now - 600, now, Replay.RECORDINGS)
    with pytest.raises(ValidationError, match="history or recordings"):
        runs.ask(operator, "shop", "posts", {}, now - 600, now, "tea leaves")
    stored(play(IN_FORCE, watches_only=True))
    now = time.time()
    fields = {"failure_threshold": 3}
    asked = runs.ask(operator, "shop", "posts", fields, now - 600, now, Replay.RECORDINGS)
    assert run_replays() == 1
    done = Replay.objects.get(pk=asked.pk)
    assert (done.state, done.error) == (Replay.DONE, "")
    assert done.result["candidate"]["rejected"] > done.result["in_force"]["rejected"]
    assert "The replay is exact" in done.result["sentence"]
