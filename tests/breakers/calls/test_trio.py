"""Calls under trio, and under anyio with either backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio

from breakers import (
    Bulkhead,
    CallOptions,
    CallTimeout,
    CircuitBreaker,
    CircuitBreakerOpen,
    RateLimiter,
    ResilientCaller,
    TTLCache,
    agather,
    current_deadline,
    remaining,
    resilient,
    timeout,
)
from breakers.circuit import faults
from breakers.circuit.records import Fault

LONG = 30.0
Run = Callable[[Callable[[], Awaitable[Any]]], Any]


@pytest.fixture(params=["trio", "anyio on trio", "anyio on asyncio"])
def run(request: pytest.FixtureRequest) -> Run:
    if request.param == "trio":
        return trio.run
    backend = request.param.rpartition(" ")[2]
    return lambda main: anyio.run(main, backend=backend)


def test_a_call_is_retried_after_a_pause(run: Run) -> None:
    made = 0

    async def flaky() -> str:
        nonlocal made
        made += 1
        await anyio.lowlevel.checkpoint()
        if made < 3:
            raise ConnectionError
        return "up"

    async def main() -> str:
        options = CallOptions(timeout=LONG, retry_delay=0.001)
        return await ResilientCaller().acall(flaky, options)

    assert (run(main), made) == ("up", 3)


def test_an_injected_latency_comes_before_the_call(run: Run) -> None:
    async def answer() -> str:
        await anyio.lowlevel.checkpoint()
        return "up"

    async def main() -> str:
        breaker = CircuitBreaker(registry=None)
        faults.inject(breaker, Fault("f1", faults.LATENCY, 1.0, 0.001, breaker._now() + LONG))
        return await ResilientCaller().acall(answer, CallOptions(LONG, circuit_breaker=breaker))

    assert run(main) == "up"


def test_a_late_call_is_cancelled(run: Run) -> None:
    async def main() -> dict[str, int]:
        breaker = CircuitBreaker(registry=None)
        options = CallOptions(timeout=0.02, retries=2, retry_delay=0.0, circuit_breaker=breaker)
        with pytest.raises(CallTimeout) as late:
            await ResilientCaller().acall(anyio.sleep, options, LONG)
        assert late.value.timeout == 0.02
        assert current_deadline() is None
        return breaker.snapshot().counts

    assert run(main)["timeout"] == 2


def test_the_callee_reads_its_deadline(run: Run) -> None:
    async def read() -> float | None:
        return remaining()

    async def main() -> float | None:
        return await ResilientCaller().acall(read, CallOptions(timeout=LONG))

    assert 0 < run(main) <= LONG


def test_who_swallows_the_cancellation_is_late_all_the_same(run: Run) -> None:
    async def stubborn() -> str:
        with suppress(BaseException):
            await anyio.sleep(LONG)
        return "late"

    async def main() -> None:
        with pytest.raises(CallTimeout):
            await ResilientCaller().acall(stubborn, CallOptions(timeout=0.02, retries=1))

    run(main)


def test_a_cancellation_from_outside_stays_one(run: Run) -> None:
    breaker = CircuitBreaker(1, registry=None)

    async def main() -> bool:
        with anyio.move_on_after(0.02) as scope:
            options = CallOptions(timeout=LONG, circuit_breaker=breaker)
            await ResilientCaller().acall(anyio.sleep, options, LONG)
        return scope.cancelled_caught

    assert (run(main), breaker.state) == (True, "closed")


def test_an_open_breaker_refuses_and_a_fallback_answers(run: Run) -> None:
    async def fail() -> None:
        raise OSError

    async def answer() -> str:
        return "fallback"

    async def main() -> str:
        breaker = CircuitBreaker(1, registry=None)
        with suppress(OSError):
            await breaker.acall(fail)
        with pytest.raises(CircuitBreakerOpen):
            await breaker.acall(fail)
        options = CallOptions(timeout=LONG, circuit_breaker=breaker, fallback=answer)
        return await ResilientCaller().acall(fail, options)  # type: ignore[arg-type, return-value]

    assert run(main) == "fallback"


@pytest.mark.parametrize("fails", [False, True])
def test_concurrent_calls_share_one(run: Run, fails: bool) -> None:
    made, answers = 0, []

    async def slow() -> str:
        nonlocal made
        made += 1
        await anyio.sleep(0.02)
        if fails:
            raise OSError
        return "answer"

    async def ask(caller: ResilientCaller) -> None:
        try:
            options = CallOptions(timeout=LONG, retries=1, deadline=LONG, cache_key="k")
            answers.append(await caller.acall(slow, options))
        except OSError:
            answers.append("failed")

    async def main() -> None:
        caller = ResilientCaller(TTLCache())
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(ask, caller)

    run(main)
    assert (made, answers) == (1, ["failed" if fails else "answer"] * 3)


def test_who_waits_for_another_does_so_until_its_deadline(run: Run) -> None:
    async def ask(caller: ResilientCaller, deadline: float | None) -> None:
        options = CallOptions(timeout=None, retries=1, deadline=deadline, cache_key="k")
        await caller.acall(anyio.sleep, options, 0.2)

    async def main() -> None:
        caller = ResilientCaller()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, caller, None)
            await anyio.sleep(0.01)
            with pytest.raises(CallTimeout):
                await ask(caller, 0.02)

    run(main)


def test_a_rate_limit_waits(run: Run) -> None:
    async def main() -> float:
        limiter = RateLimiter(1, per=0.02, max_wait=1.0)
        async with limiter:
            pass
        async with limiter as waited:
            return waited

    assert 0 < run(main) <= 0.02


def test_a_block_is_bounded(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(CallTimeout):
            async with timeout(0.02):
                await anyio.sleep(LONG)
        async with timeout(LONG) as deadline:
            await anyio.lowlevel.checkpoint()
            assert current_deadline() is deadline

    run(main)


def test_a_generator_is_bounded(run: Run) -> None:
    @resilient(CallOptions(timeout=0.05, retries=1))
    async def items() -> AsyncIterator[int]:
        yield 1
        await anyio.sleep(LONG)

    async def main() -> list[int]:
        seen: list[int] = []
        with pytest.raises(CallTimeout):
            async for item in items():
                seen.append(item)
        return seen

    assert run(main) == [1]


class TestWhatNeedsAsyncio:
    """It says so, and calls nobody."""

    @pytest.mark.parametrize(
        ("fields", "name"),
        [({"hedge_delay": 0.1}, "hedge_delay"), ({"bulkhead": Bulkhead(1)}, "bulkhead")],
    )
    def test_it_is_refused_by_name(self, fields: dict[str, Any], name: str) -> None:
        made = 0

        async def callee() -> None:
            nonlocal made
            made += 1

        async def main() -> None:
            with pytest.raises(RuntimeError, match=f"{name} needs a running asyncio event loop"):
                await ResilientCaller().acall(callee, CallOptions(timeout=LONG, **fields))

        trio.run(main)
        assert made == 0

    def test_gathering_is_refused_by_name(self) -> None:
        made = 0

        async def callee() -> None:
            nonlocal made
            made += 1

        async def main() -> None:
            with pytest.raises(RuntimeError, match="agather needs a running asyncio event loop"):
                await agather({"one": callee}, timeout=LONG)

        trio.run(main)
        assert made == 0
