"""The breaker as plainly as it can be written: a list of outcomes, no batches, no locks.

Count windows only; everything is decided at once. It knows the rules of docs/architecture.md and
nothing of how `breakers` keeps them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any

from breakers import Policy


@dataclass(eq=False)
class OpenPermit:
    """A call under way."""

    generation: int
    is_probe: bool
    lease: float
    start: float


@dataclass
class Reference:
    """What the state, the counts and each answer of a breaker must be."""

    policy: Policy
    state: str = "closed"
    override: str | None = None
    until: float = inf
    generation: int = 0
    outcomes: list[tuple[bool, bool]] = field(default_factory=list)
    in_a_row: int = 0
    open_until: float = inf
    trips: int = 0
    probes: list[OpenPermit] = field(default_factory=list)
    probe_successes: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    in_flight: int = 0

    @property
    def shown(self) -> str:
        return self.override or self.state

    def count(self, outcome: str) -> None:
        self.counts[outcome] = self.counts.get(outcome, 0) + 1

    def settle(self, now: float) -> None:
        if self.override is not None and now >= self.until:
            self.lift()
        if self.state == "open" and now >= self.open_until:
            self.go("half_open")

    def go(self, state: str) -> None:
        self.state = state
        if state != "open":
            self.open_until = inf
        self.fresh()

    def fresh(self) -> None:
        self.generation += 1
        self.outcomes, self.in_a_row = [], 0
        self.probes, self.probe_successes = [], 0

    def lift(self) -> None:
        lifted, self.override = self.override, None
        if lifted == "forced_open":
            self.state, self.open_until = "half_open", inf
        self.fresh()

    def force(self, state: str | None, now: float, expires_in: float | None) -> None:
        self.settle(now)
        if state is None:
            if self.override is not None:
                self.lift()
            return
        self.override = state
        self.until = inf if expires_in is None else now + expires_in
        self.generation += 1

    def reset(self, now: float) -> None:
        self.settle(now)
        self.trips = 0
        self.go("closed")

    def enter(self, now: float) -> OpenPermit | None:
        # Where an override lets calls pass, its end is noticed when a call ends or somebody looks:
        # the way in reads no clock for it.
        if self.override not in ("forced_closed", "metrics_only"):
            self.settle(now)
        held = self._let_in(now)
        if held is None:
            self.count("rejected")
        else:
            self.in_flight += 1
        return held

    def _let_in(self, now: float) -> OpenPermit | None:
        if self.override is not None:
            passes = self.override != "forced_open"
            return OpenPermit(self.generation, False, inf, now) if passes else None
        if self.state == "closed":
            return OpenPermit(self.generation, False, inf, now)
        if self.state == "open":
            return None
        most = self.policy.half_open_max_calls
        if len(self.probes) >= most:
            self.probes = [each for each in self.probes if each.lease > now]
        if len(self.probes) >= most:
            return None
        probe = OpenPermit(self.generation, True, now + self.policy.half_open_lease, now)
        self.probes.append(probe)
        return probe

    def leave(self, held: OpenPermit, now: float, outcome: str | None) -> None:
        self.settle(now)
        self.in_flight -= 1
        counts_now = held in self.probes if held.is_probe else held.generation == self.generation
        if held in self.probes:
            self.probes.remove(held)
        if outcome is None:
            return
        slow_from = self.policy.slow_call_duration
        slow = slow_from is not None and now - held.start >= slow_from and outcome != "ignored"
        self.count(outcome)
        if slow:
            self.count("slow")
        if counts_now and outcome != "ignored":
            self.judge(outcome != "success", slow, held.is_probe, now)

    def judge(self, failed: bool, slow: bool, is_probe: bool, now: float) -> None:
        policy = self.policy
        if is_probe or self.state == "half_open":
            if failed or (slow and policy.slow_call_rate_threshold is not None):
                self.trip(now)
                return
            self.probe_successes += 1
            if self.probe_successes >= policy.success_threshold:
                self.trips = 0
                self.go("closed")
        elif self.state == "closed":
            self.in_a_row = self.in_a_row + 1 if failed else 0
            self.outcomes = [*self.outcomes, (failed, slow)][-policy.window_size :]
            if self.override != "forced_closed" and self.must_open():
                self.trip(now)

    def must_open(self) -> bool:
        policy, calls = self.policy, len(self.outcomes)
        if policy.failure_threshold is not None and self.in_a_row >= policy.failure_threshold:
            return True
        by_calls = policy.window_type == "count"
        if calls < (
            min(policy.minimum_calls, policy.window_size) if by_calls else policy.minimum_calls
        ):
            return False
        rates: list[tuple[Any, float | None]] = [
            (sum(failed for failed, _ in self.outcomes), policy.failure_rate_threshold),
            (sum(slow for _, slow in self.outcomes), policy.slow_call_rate_threshold),
        ]
        return any(limit is not None and n / calls >= limit for n, limit in rates)

    def trip(self, now: float) -> None:
        policy = self.policy
        grown = policy.timeout_duration * policy.open_backoff_factor**self.trips
        self.trips += 1
        self.open_until = now + min(grown, max(policy.timeout_duration, policy.open_duration_max))
        self.state = "open"
        self.fresh()
