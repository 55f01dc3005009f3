"""The network between agents and web processes breaks; processes stand still; the log is full.

What every one of these asserts besides is in the fixture `shape`.
"""

from __future__ import annotations

import signal
import time

import redis

from breakers import CircuitBreaker, Registry
from breakers.agent import start
from dashboard.bus.interface import partition_of
from dashboard.bus.redis import keys
from tests.examples.running import eventually
from tests.production_shape import SERVICE, TOKEN, ProductionStack


def test_the_network_is_cut(shape: ProductionStack) -> None:
    """What an operator wants meanwhile is obeyed once it is back."""
    shape.proxy.cut()
    time.sleep(2)
    shape.force("posts", "forced_closed")
    time.sleep(1)
    assert {state for counters in shape.ask() for state in counters["states"]["posts"]} == {
        "closed"
    }
    shape.proxy.open()
    shape.until_true(posts="forced_closed")
    shape.lift("posts")


def test_the_network_leads_nowhere(shape: ProductionStack) -> None:
    """Nobody hangs up; agents notice by their pings, and what was held back arrives late and as
    something that was told before."""
    shape.proxy.hold()
    time.sleep(6)
    shape.proxy.open()


def test_a_fleet_worker_and_a_web_process_stand_still(shape: ProductionStack) -> None:
    """For twenty seconds; the worker wakes to find its partition in other hands."""
    members = (shape.holder(), shape.webs[0])
    until = time.monotonic() + 20
    for member in members:
        member.signal(signal.SIGSTOP)
    eventually(lambda: shape.holder() is not members[0], 10)
    time.sleep(max(0.0, until - time.monotonic()))
    for member in members:
        member.signal(signal.SIGCONT)


def test_the_log_is_full(shape: ProductionStack) -> None:
    """Nobody reads it: agents wait, and lose nothing."""
    client = redis.Redis.from_url(shape.redis.url)
    size = keys.size(partition_of(SERVICE))
    for fleet in shape.fleets:
        fleet.signal(signal.SIGSTOP)
    registry = Registry()
    breakers = [CircuitBreaker(name=f"many {n}", registry=registry) for n in range(800)]
    where = {"url": shape.agents_url, "token": TOKEN, "service": SERVICE}
    agent = start(**where, instance="talkative", registry=registry, interval_s=0.25)

    def is_full() -> bool:
        for each in breakers:
            each.call(int)
        return int(client.get(size) or 0) >= 2**20  # type: ignore[arg-type]

    try:
        eventually(is_full, 20, lambda: client.get(size))
    finally:
        agent.stop(0.1)
    for fleet in shape.fleets:
        fleet.signal(signal.SIGCONT)
