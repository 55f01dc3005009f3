"""Each contender as a loop that makes the given number of calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import aiobreaker
import circuitbreaker
import hyx.circuitbreaker
import interlock
import nopanic
import purgatory
import pybreaker
import pyresilience
import stamina
import tenacity

from benchmarks.naive import NaiveBreaker
from benchmarks.rounds import Loop
from breakers import CallOptions, CircuitBreaker, ResilientCaller

NEVER = 1_000_000
OWN = frozenset({"floor", "switchgear", "switchgear ResilientCaller", "naive class"})


@dataclass
class Contenders:
    """Loops by name, which of them are other people's libraries, and what is to be said of some."""

    loops: dict[str, Loop] = field(default_factory=dict)
    peers: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

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

        self.put(name, partial(_run, runner, main), is_peer)

    def put(self, name: str, loop: Loop, is_peer: bool) -> None:
        """A contender that brings its own loop."""
        self.loops[name] = loop
        if is_peer:
            self.peers.add(name)


def _run(runner: asyncio.Runner, main: Callable[[int], Coroutine[Any, Any, None]], n: int) -> None:
    runner.run(main(n))


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


def sync_calls() -> dict[str, Callable[[Callable[[], Any]], Any]]:
    """Each breaker's sync way in, as a function of what is called."""
    py = pybreaker.CircuitBreaker(fail_max=NEVER)
    circuit = circuitbreaker.CircuitBreaker(failure_threshold=NEVER)
    aio = aiobreaker.CircuitBreaker(fail_max=NEVER, timeout_duration=timedelta(seconds=60))
    lock = interlock.CircuitBreaker(name="floor")
    return {
        "switchgear": _ours().call,
        "naive class": NaiveBreaker(failure_threshold=NEVER).call,
        "pybreaker": py.call,
        "circuitbreaker": circuit.call,
        "aiobreaker": aio.call,
        "interlock": lock.call_sync,
    }


def sync_wrappers() -> dict[str, Callable[[Callable[[], Any]], Callable[[], Any]]]:
    """The peers whose way in is a decorator."""
    return {
        "purgatory": purgatory.SyncCircuitBreakerFactory(default_threshold=NEVER)("floor"),
        "nopanic": nopanic.CircuitBreaker(min_calls=NEVER),
        "pyresilience": pyresilience.resilient(
            circuit_breaker=pyresilience.CircuitBreakerConfig(failure_threshold=NEVER)
        ),
        "tenacity": tenacity.retry(stop=tenacity.stop_after_attempt(3)),
        "stamina": stamina.retry(on=Exception, attempts=3),
    }


def synchronous() -> Contenders:
    """A call that succeeds."""
    them = Contenders()
    them.add("floor", floor)
    for name, call in sync_calls().items():
        them.add(name, partial(call, work), is_peer=name not in OWN)
    for name, wrap in sync_wrappers().items():
        them.add(name, wrap(work), is_peer=True)
    caller = ResilientCaller()
    whole = CallOptions(
        timeout=1.0, circuit_breaker=_ours(), fallback=lambda: 0, strategy="cooperative"
    )
    them.add("switchgear ResilientCaller", partial(caller.call, work, whole))
    consecutive = hyx.circuitbreaker.consecutive_breaker(failure_threshold=NEVER)
    them.add_async("hyx", consecutive(awork), is_peer=True)
    them.notes.append("hyx knows coroutines only: it is awaited in a running loop.")
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
    naive = NaiveBreaker(failure_threshold=NEVER)
    them.add_async("naive class", partial(naive.acall, awork))
    circuit = circuitbreaker.CircuitBreaker(failure_threshold=NEVER)
    them.add_async("circuitbreaker", circuit(awork), is_peer=True)
    aio = aiobreaker.CircuitBreaker(fail_max=NEVER, timeout_duration=timedelta(seconds=60))
    them.add_async("aiobreaker", partial(aio.call_async, awork), is_peer=True)
    consecutive = hyx.circuitbreaker.consecutive_breaker(failure_threshold=NEVER)
    them.add_async("hyx", consecutive(awork), is_peer=True)
    lock = interlock.CircuitBreaker(name="floor")
    them.add_async("interlock", partial(lock.call_async, awork), is_peer=True)
    for name in ("nopanic", "pyresilience"):
        them.add_async(name, sync_wrappers()[name](awork), is_peer=True)

    async def guarded() -> int:
        async with await factory.get_breaker("floor"):
            return await awork()

    factory = purgatory.AsyncCircuitBreakerFactory(default_threshold=NEVER)
    them.add_async("purgatory", guarded, is_peer=True)

    async def inside() -> int:
        with py.calling():
            return await awork()

    py = pybreaker.CircuitBreaker(fail_max=NEVER)
    them.add_async("pybreaker", inside, is_peer=True)
    them.notes.append("pybreaker's own way for coroutines needs tornado: its block is around them.")
    again = tenacity.retry(stop=tenacity.stop_after_attempt(3))
    them.add_async("tenacity", again(awork), is_peer=True)
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

    them.put("floor", bare, is_peer=False)
    for name, call in refusing_calls().items():
        _fail(call)

        def loop(n: int, call: Callable[[Any], Any] = call) -> None:
            for _ in range(n):
                try:
                    call(work)
                except Exception:
                    continue
                raise AssertionError("was let in")

        them.put(name, loop, name not in OWN)
    _refusing_hyx(them)
    them.notes.append("hyx knows coroutines only: it is awaited in a running loop.")
    them.notes.append("tenacity and stamina have no breaker: they refuse nothing.")
    return them


def refusing_calls() -> dict[str, Callable[[Any], Any]]:
    """Each breaker's sync way in, where one failure opens it for an hour."""
    hour = timedelta(hours=1)
    lock = interlock.CircuitBreaker(name="open")
    lock.force_open()
    decorated: dict[str, Callable[[Any], Callable[[], Any]]] = {
        # Only their decorated functions ask whether they are open.
        "circuitbreaker": circuitbreaker.CircuitBreaker(1, recovery_timeout=3600),
        "purgatory": purgatory.SyncCircuitBreakerFactory(1, default_ttl=3600)("open"),
        "nopanic": nopanic.CircuitBreaker(min_calls=1, reset_timeout=3600),
    }
    # Its decorator gives each function a breaker of its own.
    one = pyresilience.resilient(
        circuit_breaker=pyresilience.CircuitBreakerConfig(1, recovery_timeout=3600)
    )
    return {
        "pyresilience": one(_call),
        "switchgear": CircuitBreaker(failure_threshold=1, timeout_duration=3600).call,
        "naive class": NaiveBreaker(failure_threshold=1).call,
        "pybreaker": pybreaker.CircuitBreaker(fail_max=1, reset_timeout=3600).call,
        "aiobreaker": aiobreaker.CircuitBreaker(fail_max=1, timeout_duration=hour).call,
        "interlock": lock.call_sync,
    } | {name: _called(wrap) for name, wrap in decorated.items()}


def _called(wrap: Callable[[Any], Callable[[], Any]]) -> Callable[[Any], Any]:
    wrapped = {work: wrap(work), broken: wrap(broken)}
    return lambda func: wrapped[func]()


def _call(func: Callable[[], Any]) -> Any:
    return func()


def broken() -> int:
    """What opens them."""
    raise ValueError


def _fail(call: Callable[[Any], Any]) -> None:
    for _ in range(3):
        try:
            call(broken)
        except Exception:
            continue


def _refusing_hyx(them: Contenders) -> None:
    """Awaited, and caught inside the coroutine."""
    consecutive = hyx.circuitbreaker.consecutive_breaker(
        failure_threshold=1, recovery_time_secs=3600
    )

    async def abroken() -> None:
        raise ValueError

    async def main(n: int, func: Callable[[], Awaitable[Any]]) -> None:
        for _ in range(n):
            try:
                await func()
            except Exception:
                continue
            raise AssertionError("was let in")

    runner = asyncio.Runner()
    runner.run(main(3, consecutive(abroken)))
    guarded = consecutive(awork)
    them.put("hyx", partial(_run, runner, lambda n: main(n, guarded)), is_peer=True)
