"""Processes and servers die at any moment; services notice nothing, and each call is counted once.

What every one of these asserts besides is in the fixture `shape`.
"""

from __future__ import annotations

import signal
import time

from tests.examples.running import eventually, http
from tests.production_shape import ProductionStack


def test_nothing_happens(shape: ProductionStack) -> None:
    """The ground the others stand on."""
    time.sleep(1)


def test_a_fleet_worker_is_killed(shape: ProductionStack) -> None:
    victim = shape.holder()
    victim.kill()
    eventually(lambda: shape.holder() is not victim, 10)
    shape.until_true()
    victim.start()


def test_a_web_process_is_killed_with_all_agents_on_it(shape: ProductionStack) -> None:
    first, second = shape.webs
    second.kill()
    time.sleep(2)
    second.start()
    first.kill()
    time.sleep(1)
    first.start()


def test_web_processes_are_replaced_one_by_one(shape: ProductionStack) -> None:
    """As a deployment does; agents are told to come back elsewhere."""
    for web, url in zip(shape.webs, shape.urls, strict=True):
        web.end()
        web.start()
        eventually(lambda url=url: http.get(f"{url}/readyz").is_success, 20)  # type: ignore[misc]


def test_redis_is_killed_and_keeps_its_data(shape: ProductionStack) -> None:
    shape.redis.end(signal.SIGKILL)
    time.sleep(1)
    shape.redis.start()


def test_redis_is_killed_and_loses_its_data(shape: ProductionStack) -> None:
    shape.redis.end(signal.SIGKILL)
    shape.redis.forget()
    time.sleep(1)
    shape.redis.start()


def test_postgresql_is_killed(shape: ProductionStack) -> None:
    """SIGQUIT ends all of its processes without a checkpoint: it recovers from its log."""
    shape.postgres.end(signal.SIGQUIT)
    time.sleep(2)
    shape.postgres.start()
