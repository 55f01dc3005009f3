"""A lock that another thread holds at the moment of a fork holds up no child."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from breakers import Bulkhead, CircuitBreaker, RateLimiter, Registry, RetryBudget, TTLCache
from breakers.calls.isolation import IsolationPool

USES: list[tuple[Callable[[], Any], Callable[[Any], object]]] = [
    (CircuitBreaker, lambda breaker: breaker.snapshot()),
    (lambda: Bulkhead(1), lambda bulkhead: bulkhead.acquire()),
    (lambda: RateLimiter(1), lambda limiter: limiter.acquire()),
    (Registry, lambda registry: registry.all()),
    (RetryBudget, lambda budget: budget.withdraw()),
    (TTLCache, lambda cache: cache.get("k")),
    (IsolationPool, lambda pool: pool.start(int)),
]


@pytest.mark.parametrize(("make", "use"), USES, ids=lambda each: getattr(each, "__name__", ""))
def test_a_child_uses_what_its_parent_had_locked(
    make: Callable[[], Any], use: Callable[[Any], object]
) -> None:
    shared = make()
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        if (guard := getattr(shared, "_guard", None)) is not None:
            guard.run(lambda: (held.set(), go.wait(10)))
            return
        with shared._lock:
            held.set()
            go.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(5)
    child = os.fork()
    if not child:
        # A child that hangs is ended by its alarm.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(5)
        use(shared)
        os._exit(0)
    go.set()
    holder.join(5)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
