"""Each contender as a loop that makes the given number of calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import aiobreaker
import circuitbreaker
import hyx.circuitbreaker
import interlock
import purgatory
import pybreaker
import stamina
import tenacity

from benchmarks.naive import NaiveBreaker
from benchmarks.rounds import Loop
from breakers import CallOptions, CircuitBreaker, ResilientCaller

NEVER = 1_000_000


@dataclass
class Contenders:
    """Loops by name, and which of them are other people's libraries."""

    loops: dict[str, Loop] = field(default_factory=dict)
    peers: set[str] = field(default_factory=set)

    def add(self, name: str, call: Callable[[], Any], is_peer: bool = False) -> None:
        """A sync contender: `call()` makes one call."""

        def loop(n: int) -> None:
            for _ in range(n):
                call()

        self.put(name, loop, is_peer)

    def add_async(
        self, name: str, call: Callable[[], Awaitable[Any]], is_peer: bool = False
    ) -> None:
        """An async contender: `await call()` makes one call."""
        runner = asyncio.Runner()

        async def main(n: int) -> None:
            for _ in range(n):
                await call()

        self.put(name, lambda n: runner.run(main(n)), is_peer)

    def put(self, name: str, loop: Loop, is_peer: bool) -> None:
        """A contender that brings its own loop."""
        self.loops[name] = loop
        if is_peer:
            self.peers.add(name)


def work() -> int:
    """What is called."""
    return 1


async def awork() -> int:
    """What is awaited."""
    return 1


def floor() -> int:
    """The least that anything which measures a call must do."""
    start = time.monotonic()
    try:
        result = work()
    except Exception:
        floor.failed = time.monotonic() - start  # type: ignore[attr-defined]
        raise
    floor.took = time.monotonic() - start  # type: ignore[attr-defined]
    return result


async def afloor() -> int:
    """The same for a coroutine."""
    start = time.monotonic()
    try:
        result = await awork()
    except Exception:
        floor.failed = time.monotonic() - start  # type: ignore[attr-defined]
        raise
    floor.took = time.monotonic() - start  # type: ignore[attr-defined]
    return result


def _ours(**fields: Any) -> CircuitBreaker:
    """Window, histogram and counters are always on; a failure rate makes the window work."""
    return CircuitBreaker(failure_rate_threshold=0.5, window_size=100, **fields)


def synchronous() -> Contenders:
    """A call that succeeds."""
    them = Contenders()
    them.add("floor", floor)
    ours = _ours()
    them.add("switchgear", partial(ours.call, work))
    caller = ResilientCaller()
    whole = CallOptions(
        timeout=1.0, circuit_breaker=_ours(), fallback=lambda: 0, strategy="cooperative"
    )
    them.add("switchgear ResilientCaller", partial(caller.call, work, whole))
    naive = NaiveBreaker(failure_threshold=NEVER)
    them.add("naive class", partial(naive.call, work))
    py = pybreaker.CircuitBreaker(fail_max=NEVER)
    them.add("pybreaker", partial(py.call, work), is_peer=True)
    circuit = circuitbreaker.CircuitBreaker(failure_threshold=NEVER)
    them.add("circuitbreaker", partial(circuit.call, work), is_peer=True)
    wrapped = purgatory.SyncCircuitBreakerFactory(default_threshold=NEVER)("floor")(work)
    them.add("purgatory", wrapped, is_peer=True)
    lock = interlock.CircuitBreaker(name="floor")
    them.add("interlock", partial(lock.call_sync, work), is_peer=True)
    them.add("tenacity", tenacity.retry(stop=tenacity.stop_after_attempt(3))(work), is_peer=True)
    them.add("stamina", stamina.retry(on=Exception, attempts=3)(work), is_peer=True)
    return them


def asynchronous() -> Contenders:
    """A coroutine that succeeds."""
    them = Contenders()
    them.add_async("floor", afloor)
    ours = _ours()
    them.add_async("switchgear", partial(ours.acall, awork))
    caller = ResilientCaller()
    whole = CallOptions(timeout=1.0, circuit_breaker=_ours(), fallback=lambda: 0)
    them.add_async("switchgear ResilientCaller", partial(caller.acall, awork, whole))
    circuit = circuitbreaker.CircuitBreaker(failure_threshold=NEVER)
    them.add_async("circuitbreaker", circuit(awork), is_peer=True)
    aio = aiobreaker.CircuitBreaker(fail_max=NEVER, timeout_duration=timedelta(seconds=60))
    them.add_async("aiobreaker", partial(aio.call_async, awork), is_peer=True)
    consecutive = hyx.circuitbreaker.consecutive_breaker(failure_threshold=NEVER)
    them.add_async("hyx", consecutive(awork), is_peer=True)
    lock = interlock.CircuitBreaker(name="floor")
    them.add_async("interlock", partial(lock.call_async, awork), is_peer=True)

    async def guarded() -> int:
        async with await factory.get_breaker("floor"):
            return await awork()

    factory = purgatory.AsyncCircuitBreakerFactory(default_threshold=NEVER)
    them.add_async("purgatory", guarded, is_peer=True)
    them.add_async("stamina", stamina.retry(on=Exception, attempts=3)(awork), is_peer=True)
    return them


def refusing() -> Contenders:
    """A call that an open breaker refuses, raised and caught in the loop itself."""
    them = Contenders()

    def bare(n: int) -> None:
        for _ in range(n):
            try:
                raise RuntimeError("open")
            except RuntimeError:
                pass

    def broken() -> None:
        raise ValueError

    def contend(name: str, call: Callable[[Any], Any], is_peer: bool = True) -> None:
        for _ in range(3):
            try:
                call(broken)
            except Exception:
                continue

        def loop(n: int) -> None:
            for _ in range(n):
                try:
                    call(work)
                except Exception:
                    continue
                raise AssertionError("was let in")

        them.put(name, loop, is_peer)

    them.put("floor", bare, is_peer=False)
    contend("switchgear", CircuitBreaker(failure_threshold=1).call, is_peer=False)
    contend("naive class", NaiveBreaker(failure_threshold=1).call, is_peer=False)
    contend("pybreaker", pybreaker.CircuitBreaker(fail_max=1, reset_timeout=3600).call)
    contend("circuitbreaker", _circuitbreaker())
    lock = interlock.CircuitBreaker(name="open")
    lock.force_open()
    contend("interlock", lock.call_sync)
    return them


def _circuitbreaker() -> Callable[[Any], Any]:
    """Its public way in is the decorated function, which checks whether it is open."""
    circuit = circuitbreaker.CircuitBreaker(failure_threshold=1, recovery_timeout=3600)
    functions: dict[Any, Any] = {}

    def call(func: Any) -> Any:
        if func not in functions:
            functions[func] = circuit(func)
        return functions[func]()

    return call
