"""The tasks that a real worker runs for tests/breakers/integrations/test_celery.py."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import redis
from celery import Celery

from breakers import CircuitBreaker, CircuitBreakerOpen, remaining
from breakers.integrations.celery import ResilientTask

URL = os.environ.get("TASKS_URL", "redis://localhost/0")
app = Celery("tasks", broker=URL, backend=URL)
app.conf.update(broker_connection_retry_on_startup=True, task_publish_retry=False)
store = redis.Redis.from_url(URL)
smtp = CircuitBreaker(failure_threshold=2, timeout_duration=60.0, open_jitter=0.0)
held = CircuitBreaker()


def ran(name: str) -> int:
    """Note that a task runs, and when; how often it has."""
    return int(store.rpush(f"ran:{name}", time.time()))


@app.task(base=ResilientTask, bind=True, retries_when_open=True)
def refused_once(self: Any, name: str, retry_after: float) -> str:
    if ran(name) == 1:
        raise CircuitBreakerOpen("posts", retry_after)
    return f"retries: {self.request.retries}"


@app.task(
    base=ResilientTask, bind=True, retries_when_open=True, open_retry_delay=1.0, look_every=1.0
)
def forced_for_an_hour(self: Any, name: str) -> str:
    if ran(name) == 1:
        held.set_override("forced_open", 3600.0)
        threading.Timer(0.5, held.set_override, [None]).start()
    held.call(int)
    return f"retries: {self.request.retries}"


@app.task(base=ResilientTask, autoretry_for=(Exception,), retry_kwargs={"countdown": 0})
def refused_and_hot(name: str, retry_after: float) -> str:
    if ran(name) == 1:
        raise CircuitBreakerOpen("posts", retry_after)
    return "done"


@app.task(base=ResilientTask)
def refused_always() -> None:
    raise CircuitBreakerOpen("posts", 1.0)


@app.task(base=ResilientTask, deadline=0.3)
def hangs() -> None:
    time.sleep(20)


@app.task(base=ResilientTask, deadline=20.0)
def left() -> float:
    return remaining(0.0) or 0.0


@app.task(base=ResilientTask, breaker=smtp)
def fails(name: str) -> None:
    ran(name)
    raise ConnectionError("no smtp")
