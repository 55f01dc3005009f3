"""The tipping point: the load beyond which a trigger that ends leaves a collapse that stays.

One server with a first-in-first-out queue that works on what nobody waits for any more. A trigger
takes 80 % of its capacity for 10 s. Callers wait one second and make three attempts.
"""

from __future__ import annotations

import random
from collections import deque
from typing import Any, Final

from breakers.circuit.breaker import CircuitBreaker
from breakers.cli.simulation.fleet import VirtualClock
from breakers.errors import CircuitBreakerOpen
from breakers.limits.retry_budget import RetryBudget

CAPACITY: Final = 100.0
TRIGGER: Final = (5.0, 15.0)
LENGTH_S: Final = 45.0
TICK_S: Final = 0.02
PATIENCE_S: Final = 1.0
ATTEMPTS: Final = 3
QUEUE: Final = 400


def recovers(load: float, protected: bool, seed: int) -> bool:
    """Whether at least 95 % of the calls of the last five seconds succeed."""
    rng, clock = random.Random(seed), VirtualClock()
    breaker = CircuitBreaker(
        None,
        1.0,
        clock=clock,
        registry=None,
        random=rng.random,
        failure_rate_threshold=0.5,
        window_type="time",
        window_size=5,
        half_open_max_calls=5,
    )
    budget = RetryBudget()
    # What waits at the server: when it came, which attempt, its permit, and whether it gave up.
    queue: deque[list[Any]] = deque()
    waiting: deque[list[Any]] = deque()
    due: list[int] = []
    credit, good, asked = 0.0, 0, 0
    for tick in range(int(LENGTH_S / TICK_S)):
        now = clock.now = tick * TICK_S
        arrivals = [1] * _poisson(rng, load * CAPACITY * TICK_S)
        if protected:
            for _ in arrivals:
                budget.deposit()
        if now >= LENGTH_S - 5.0:
            asked += len(arrivals)
        for attempt in [*arrivals, *due]:
            permit: Any = None
            if protected:
                try:
                    permit = breaker.enter()
                except CircuitBreakerOpen:
                    continue
            call: list[Any] = [now, attempt, permit, False]
            if len(queue) < QUEUE:
                queue.append(call)
            waiting.append(call)
        due = []
        share = 0.2 if TRIGGER[0] <= now < TRIGGER[1] else 1.0
        credit = min(credit, 1.0) + CAPACITY * share * TICK_S
        while queue and credit >= 1.0:
            credit -= 1.0
            call = queue.popleft()
            if not call[3]:
                call[3] = True
                good += now >= LENGTH_S - 5.0
                if call[2] is not None:
                    breaker.leave(*call[2])
        while waiting and now - float(waiting[0][0]) >= PATIENCE_S:
            call = waiting.popleft()
            if call[3]:
                continue
            call[3] = True
            if call[2] is not None:
                ticket, start = call[2]
                breaker.leave(ticket, start, TimeoutError())
            attempt = int(call[1])
            if attempt < ATTEMPTS and (not protected or budget.withdraw()):
                due.append(attempt + 1)
    return asked == 0 or good >= 0.95 * asked


def _poisson(rng: random.Random, mean: float) -> int:
    n, at = 0, rng.expovariate(mean)
    while at < 1.0:
        n += 1
        at += rng.expovariate(mean)
    return n


def tipping_point(protected: bool, seed: int) -> float:
    """The highest load, as a share of the capacity, from which the system recovers; to 1 %."""
    low, high = 0.0, 0.95
    if recovers(high, protected, seed):
        return high
    while high - low > 0.01:
        middle = (low + high) / 2
        if recovers(middle, protected, seed):
            low = middle
        else:
            high = middle
    return low
