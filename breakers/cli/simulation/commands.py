"""How an override reaches a fleet: sent to each connection in turn, delayed by the network, applied
by the breaker, acknowledged. Some instances are between two connections and reconnect first."""

from __future__ import annotations

import random
from dataclasses import dataclass

from breakers.circuit.states import State
from breakers.cli.simulation.fleet import Instance, VirtualClock

SEND_S = 25e-6
NETWORK_MEDIAN_S = 0.02
NETWORK_SIGMA = 0.8
RECONNECT_MAX_S = 3.0


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Seconds from the operator's act until shares of the fleet had acknowledged it."""

    half_s: float
    all_s: float


def force(
    instances: list[Instance], clock: VirtualClock, offline: float, seed: int
) -> Acknowledged:
    """Force every breaker open; `offline` is the share of instances that are reconnecting."""
    rng = random.Random(seed)
    began, times = clock.now, []
    for n, instance in enumerate(instances):
        wait = rng.uniform(0.0, RECONNECT_MAX_S) if rng.random() < offline else n * SEND_S
        there, back = (NETWORK_MEDIAN_S * rng.lognormvariate(0.0, NETWORK_SIGMA) for _ in range(2))
        clock.now = began + wait + there
        if instance.breaker is not None:
            instance.breaker.set_override("forced_open")
            assert instance.breaker.state is State.FORCED_OPEN
        times.append(wait + there + back)
    times.sort()
    clock.now = began + times[-1]
    return Acknowledged(times[len(times) // 2], times[-1])
