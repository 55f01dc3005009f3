"""No lock of the library waits for its own thread, whatever runs in the middle of an update."""

from __future__ import annotations

import gc
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from breakers import (
    AdaptiveLimit,
    Bulkhead,
    BulkheadFull,
    CircuitBreaker,
    CircuitBreakerOpen,
    RateLimited,
    RateLimiter,
    Registry,
    RetryBudget,
    State,
    TTLCache,
)
from breakers.common.guard import NESTED, Guard


class Hook:
    """The system's clocks; `then` runs whenever either is read inside the guard."""

    def __init__(self) -> None:
        self.then: Callable[[], object] = lambda: None

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        then, self.then = self.then, lambda: None
        then()
        return time.time()


def fail() -> None:
    raise ValueError


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    """A test that waits for itself ends with a traceback instead of hanging the suite."""

    def ring(*_: Any) -> None:
        raise AssertionError("a lock waits for its own thread")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def test_a_finaliser_that_ends_a_guarded_generator() -> None:
    hook = Hook()
    posts = CircuitBreaker(1, clock=hook, registry=None)

    @posts
    def rows() -> Iterator[int]:
        yield 1
        yield 2

    found: Any = rows()
    next(found)
    cycle: list[Any] = [found]
    cycle.append(cycle)
    del found, cycle
    hook.then = gc.collect
    with pytest.raises(ValueError):
        posts.call(fail)
    shot = posts.snapshot()
    assert (shot.state, shot.counts["failure"], shot.counts["success"]) == (State.OPEN, 1, 1)
    assert shot.in_flight == 0


@pytest.mark.parametrize(
    "act",
    [
        lambda breaker: breaker.snapshot(),
        lambda breaker: breaker.state,
        lambda breaker: breaker.drain(),
        lambda breaker: breaker.set_override("forced_open"),
        lambda breaker: breaker.reset(),
        lambda breaker: breaker.trip(),
        lambda breaker: breaker.apply_policy({"failure_threshold": 9}),
        lambda breaker: breaker.configure(failure_threshold=9),
        lambda breaker: breaker.declare(timeout=1.0),
        lambda breaker: breaker.count("retry"),
        lambda breaker: breaker.export_state(),
        lambda breaker: breaker.call(int),
        lambda breaker: breaker.retry_budget.withdraw(),
    ],
)
def test_a_signal_handler_that_uses_the_breaker(act: Callable[[CircuitBreaker], Any]) -> None:
    hook = Hook()
    posts = CircuitBreaker(1, clock=hook, registry=None)

    def handler(*_: Any) -> None:
        with suppress(CircuitBreakerOpen):
            act(posts)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        hook.then = lambda: signal.raise_signal(signal.SIGUSR1)
        with pytest.raises(ValueError):
            posts.call(fail)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert posts.snapshot().counts["failure"] >= 0
    posts.set_override(None)
    posts.reset()
    assert posts.call(lambda: 7) == 7


def test_a_listener_and_a_log_handler_that_use_the_breaker(caplog: Any) -> None:
    posts = CircuitBreaker(1, registry=None)

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            posts.snapshot()

    def listener(record: Any) -> None:
        posts.snapshot()
        raise RuntimeError  # logged, and the log handler asks again

    posts.add_listener(listener)
    handler = Handler()
    logging.getLogger("breakers").addHandler(handler)
    try:
        with pytest.raises(ValueError):
            posts.call(fail)
    finally:
        logging.getLogger("breakers").removeHandler(handler)
    assert posts.state is State.OPEN


class Nested:
    """A clock that comes back to the object which reads it."""

    def __init__(self) -> None:
        self.then: Callable[[], object] = lambda: None

    def monotonic(self) -> float:
        then, self.then = self.then, lambda: None
        then()
        return 0.0

    wall = monotonic


def test_a_rate_limiter_that_is_asked_from_its_own_clock() -> None:
    clock = Nested()
    limiter = RateLimiter(1, per=60, clock=clock)
    said: list[str] = []

    def ask() -> None:
        try:
            limiter.acquire()
        except RateLimited as error:
            said.append(type(error).__name__)

    clock.then = ask
    assert limiter.acquire() == 0.0
    assert said == ["RateLimited"]


def test_a_cache_that_is_asked_from_its_own_clock() -> None:
    clock = Nested()
    cache = TTLCache(clock=clock)
    cache.set("a", 1, 60)
    clock.then = lambda: (cache.get("a"), cache.set("b", 2, 60))
    assert cache.get("a") == 1
    assert cache.get("b") == 2


def inside(guard: Guard, act: Callable[[], object]) -> None:
    """Run an act as a finaliser would, in the middle of an update of its own thread."""
    guard.run(act)


def test_slots_that_are_taken_and_given_back_in_the_middle_of_an_update() -> None:
    bulkhead = Bulkhead(2, max_wait=5)
    bulkhead.acquire()
    inside(bulkhead._guard, bulkhead.release)
    assert bulkhead.in_flight == 0

    def take() -> None:
        with pytest.raises(BulkheadFull):
            bulkhead.acquire()

    inside(bulkhead._guard, take)
    assert (bulkhead.in_flight, bulkhead.waiting) == (0, 0)


def test_an_adaptive_limit_that_learns_in_the_middle_of_an_update() -> None:
    limit = AdaptiveLimit(10)
    inside(limit._guard, lambda: limit.observe(1.0, failed=True))
    assert limit.max_concurrent == 9


def test_a_retry_budget_that_is_asked_in_the_middle_of_an_update() -> None:
    budget = RetryBudget(burst=1)
    said: list[bool] = []
    inside(budget._guard, lambda: said.append(budget.withdraw()))
    assert said == [False]
    assert budget.withdraw()


def test_a_registry_whose_listener_makes_another_breaker() -> None:
    registry = Registry(max_breakers=2)
    registry.on_create(
        lambda made: made.name == "a" and CircuitBreaker(name="b", registry=registry)
    )
    CircuitBreaker(name="a", registry=registry)
    assert [each.name for each in registry.all()] == ["a", "b"]
    made: list[Any] = []
    inside(registry._guard, lambda: made.append(Registry.all(registry)))
    assert len(made[0]) == 2


def test_what_is_deferred_runs_in_order_and_its_failure_harms_nobody() -> None:
    guard, seen = Guard(), []

    def outer() -> str:
        assert guard.run(seen.append, 1) is NESTED
        assert guard.run(fail) is NESTED
        assert guard.run(seen.append, 2) is NESTED
        assert guard.run_now(seen.append, 3) is NESTED
        seen.append(0)
        return "outer"

    assert guard.run(outer) == "outer"
    assert seen == [0, 1, 2]
    assert not guard.is_busy


def test_an_interrupted_update_leaves_the_guard_free() -> None:
    guard = Guard()

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guard.run(interrupted)
    free = threading.Thread(target=guard.run, args=(lambda: None,))
    free.start()
    free.join(5)
    assert not free.is_alive()


CHAOS = """
import faulthandler, gc, random, signal, sys, threading, time
faulthandler.dump_traceback_later(60, exit=True)
from breakers import AdaptiveLimit, CircuitBreaker, CircuitBreakerOpen, CircuitForcedOpen
seed = int(sys.argv[1])
chance = random.Random(seed)
posts = CircuitBreaker(3, timeout_duration=0.002, failure_rate_threshold=0.9, window_type="time",
                       window_size=10, random=chance.random, registry=None)
limit = AdaptiveLimit(50)

@posts
def rows():
    yield 1
    yield 2

class Finalised:
    def __del__(self):
        posts.snapshot()
        try:
            with limit, posts:
                pass
        except Exception:
            pass

def fail():
    raise ValueError

end = time.monotonic() + 3
gc.set_threshold(50, 3, 3)

def handler(*_):
    posts.snapshot(); posts.count("retry")
    if time.monotonic() < end: signal.setitimer(signal.ITIMER_REAL, 0.0007)

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001)

def work(seed):
    chance = random.Random(seed)
    while time.monotonic() < end:
        pick = chance.random()
        try:
            if pick < 0.3:
                posts.call(fail)
            elif pick < 0.5:
                found = rows(); next(found)
                cycle = [found, Finalised()]; cycle.append(cycle)
            elif pick < 0.6:
                with limit, posts:
                    [[] for _ in range(20)]
            elif pick < 0.65:
                posts.set_override(chance.choice(["forced_closed", "metrics_only", None]))
            else:
                posts.call(int)
        except (ValueError, CircuitBreakerOpen):
            pass

threads = [threading.Thread(target=work, args=(seed + n,)) for n in range(3)]
for each in threads: each.start()
work(seed + 9)
for each in threads: each.join(30)
signal.setitimer(signal.ITIMER_REAL, 0)
assert not any(each.is_alive() for each in threads)
gc.collect()
posts.set_override(None); posts.reset()
assert posts.call(len, "four") == 4
shot = posts.snapshot()
assert shot.in_flight == 0, shot
assert limit.in_flight == 0, limit.in_flight
print("no hang", sum(shot.counts.values()))
"""


@pytest.mark.parametrize("seed", [1, 2])
def test_a_chaos_of_finalisers_signals_and_threads_does_not_hang(seed: int) -> None:
    signal.alarm(0)
    done = subprocess.run(
        [sys.executable, "-c", CHAOS, str(seed)], capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    assert "no hang" in done.stdout
