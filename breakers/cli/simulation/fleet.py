"""Instances with one breaker each before one dependency that is down for a while.

Time is virtual: events are taken from a heap in their order, and the clock of every breaker is set
to the event's time. The same seed gives the same run.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from breakers.circuit.breaker import CircuitBreaker
from breakers.circuit.states import State
from breakers.clock import Clock
from breakers.errors import CircuitBreakerOpen
from breakers.limits.retry_budget import RetryBudget

TICK_S: Final = 0.05


class VirtualClock:
    """A clock that the simulation sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


class DependencyDown(Exception):
    """What a call gets while the dependency is down."""


@dataclass(frozen=True, slots=True)
class Outage:
    """The run: when the dependency is down, and how much each instance asks of it."""

    began_s: float = 5.0
    seconds: float = 30.0
    tail_s: float = 15.0
    rate: float = 0.25
    attempts: int = 3
    retry_delay_s: float = 0.1

    @property
    def end_s(self) -> float:
        return self.began_s + self.seconds


@dataclass
class Observed:
    """What the dependency and the callers saw."""

    calls: int = 0
    attempts: int = 0
    outage_calls: int = 0
    outage_attempts: int = 0
    probes: Counter[int] = field(default_factory=Counter)
    closed_at: float = 0.0

    @property
    def amplification(self) -> float:
        """Attempts that reached the dependency for each call, during the outage."""
        return self.outage_attempts / self.outage_calls if self.outage_calls else 0.0

    @property
    def probe_concurrency(self) -> int:
        """The most probes of the fleet within 50 ms."""
        return max(self.probes.values(), default=0)


@dataclass(frozen=True, slots=True)
class Instance:
    """A process of the fleet. `breaker` is None for one without protection."""

    breaker: CircuitBreaker | None
    budget: RetryBudget | None


def make_instances(
    n: int, clock: Clock, rng: random.Random, policy: Mapping[str, object]
) -> list[Instance]:
    """n instances with breakers of this policy, which draw their jitter from `rng`."""
    return [
        Instance(
            CircuitBreaker(
                clock=clock,
                registry=None,
                random=rng.random,
                **policy,  # type: ignore[arg-type]
            ),
            RetryBudget(),
        )
        for _ in range(n)
    ]


def run(instances: list[Instance], clock: VirtualClock, outage: Outage, seed: int) -> Observed:
    """Play the outage to the end."""
    rng = random.Random(seed)
    seen = Observed()
    last = outage.end_s + outage.tail_s
    events = [(rng.expovariate(outage.rate), n, 1) for n in range(len(instances))]
    heapq.heapify(events)
    while events:
        at, n, attempt = heapq.heappop(events)
        if at >= last:
            continue
        clock.now = at
        instance = instances[n]
        if attempt == 1:
            heapq.heappush(events, (at + rng.expovariate(outage.rate), n, 1))
            seen.calls += 1
            seen.outage_calls += outage.began_s <= at < outage.end_s
            if instance.budget is not None:
                instance.budget.deposit()
        if _attempt(instance, outage, at, seen) or attempt == outage.attempts:
            continue
        if instance.budget is None or instance.budget.withdraw():
            pause = outage.retry_delay_s * 2 ** (attempt - 1) * rng.random()
            heapq.heappush(events, (at + pause, n, attempt + 1))
    return seen


def _attempt(instance: Instance, outage: Outage, at: float, seen: Observed) -> bool:
    """Make one attempt; whether the call is over with it."""
    down = outage.began_s <= at < outage.end_s

    def ask() -> None:
        seen.attempts += 1
        seen.outage_attempts += down
        if down:
            raise DependencyDown

    breaker = instance.breaker
    try:
        if breaker is None:
            ask()
            return True
        before = breaker.state
        if before is State.HALF_OPEN:
            seen.probes[int(at / TICK_S)] += 1
        breaker.call(ask)
        if before is State.HALF_OPEN and breaker.state is State.CLOSED:
            seen.closed_at = max(seen.closed_at, at)
    except CircuitBreakerOpen:
        return True
    except DependencyDown:
        return False
    return True
