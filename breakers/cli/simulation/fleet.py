"""Instances with one breaker each before one dependency that is down for a while.

Time is virtual: events are taken from a heap in their order, and the clock of every breaker is set
to the event's time. The same seed gives the same run.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from breakers.circuit.admission import Ticket
from breakers.circuit.breaker import CircuitBreaker
from breakers.circuit.states import State
from breakers.clock import Clock
from breakers.errors import CircuitBreakerOpen
from breakers.limits.retry_budget import RetryBudget

TICK_S: Final = 0.05
_Z99: Final = 2.326  # the 99th percentile of the standard normal distribution


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
class Latency:
    """Seconds until the dependency answers, well or not: lognormal, by median and 99th
    percentile; twice the latter at most."""

    median: float = 0.045
    p99: float = 0.150

    def draw(self, rng: random.Random) -> float:
        """The latency of one attempt."""
        sigma = math.log(self.p99 / self.median) / _Z99
        return min(self.median * math.exp(sigma * rng.gauss(0.0, 1.0)), 2 * self.p99)


@dataclass(frozen=True, slots=True)
class Outage:
    """The run: when the dependency is down, and how much each instance asks of it."""

    began_s: float = 5.0
    seconds: float = 30.0
    tail_s: float = 15.0
    rate: float = 0.25
    attempts: int = 3
    retry_delay_s: float = 0.1
    latency: Latency = Latency()

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
    outage_probes: int = 0
    outage_refused: int = 0
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


class _Answer(NamedTuple):
    """An attempt that the dependency is at: its permit, if there is a breaker, and its fate."""

    permit: tuple[Ticket, float] | None
    probing: bool
    failed: bool


# When, the order of making, the instance, the number of the attempt, and the answer if it is one.
_Event = tuple[float, int, int, int, _Answer | None]


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
    return _Run(instances, clock, outage, random.Random(seed)).play()


class _Run:
    """One run. The heap holds the calls and retries that are due, and the answers under way."""

    def __init__(
        self, instances: list[Instance], clock: VirtualClock, outage: Outage, rng: random.Random
    ) -> None:
        self.instances, self.clock, self.outage, self.rng = instances, clock, outage, rng
        self.seen = Observed()
        self.last = outage.end_s + outage.tail_s
        self.order = itertools.count()
        self.events: list[_Event] = []

    def play(self) -> Observed:
        for n in range(len(self.instances)):
            self._due(self.rng.expovariate(self.outage.rate), n, 1)
        while self.events:
            at, _, n, attempt, answer = heapq.heappop(self.events)
            self.clock.now = at
            if answer is not None:
                self._finish(at, n, attempt, answer)
            elif at < self.last:
                if attempt == 1:
                    self._arrive(at, n)
                self._attempt(at, n, attempt)
        return self.seen

    def _due(self, at: float, n: int, attempt: int, answer: _Answer | None = None) -> None:
        heapq.heappush(self.events, (at, next(self.order), n, attempt, answer))

    def _arrive(self, at: float, n: int) -> None:
        self._due(at + self.rng.expovariate(self.outage.rate), n, 1)
        self.seen.calls += 1
        self.seen.outage_calls += self.outage.began_s <= at < self.outage.end_s
        budget = self.instances[n].budget
        if budget is not None:
            budget.deposit()

    def _attempt(self, at: float, n: int, attempt: int) -> None:
        """Make one attempt, if the breaker lets it. Its fate is that of its arrival."""
        seen, breaker = self.seen, self.instances[n].breaker
        down = self.outage.began_s <= at < self.outage.end_s
        permit, probing = None, False
        if breaker is not None:
            try:
                permit = breaker.enter()
            except CircuitBreakerOpen:
                seen.outage_refused += down
                return
            probing = breaker.state is State.HALF_OPEN
        seen.attempts += 1
        seen.outage_attempts += down
        if probing:
            seen.probes[int(at / TICK_S)] += 1
            seen.outage_probes += down
        answer = _Answer(permit, probing, down)
        self._due(at + self.outage.latency.draw(self.rng), n, attempt, answer)

    def _finish(self, at: float, n: int, attempt: int, answer: _Answer) -> None:
        breaker, budget = self.instances[n].breaker, self.instances[n].budget
        if breaker is not None and answer.permit is not None:
            breaker.leave(*answer.permit, DependencyDown() if answer.failed else None)
            if answer.probing and breaker.state is State.CLOSED:
                self.seen.closed_at = max(self.seen.closed_at, at)
        if not answer.failed or attempt == self.outage.attempts:
            return
        if budget is None or budget.withdraw():
            pause = self.outage.retry_delay_s * 2 ** (attempt - 1) * self.rng.random()
            self._due(at + pause, n, attempt + 1)
