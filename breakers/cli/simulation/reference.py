"""A real run to hold the simulation to: the same outage in real time over real sockets."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping

from breakers.circuit.breaker import CircuitBreaker
from breakers.cli.simulation.fleet import Outage
from breakers.errors import CircuitBreakerOpen
from breakers.limits.retry_budget import RetryBudget


async def attempts_over_sockets(
    instances: int, outage: Outage, policy: Mapping[str, object], seed: int
) -> int:
    """The attempts that reach a real server during the outage."""
    began = time.monotonic()
    reached = 0

    def is_down() -> bool:
        return outage.began_s <= time.monotonic() - began < outage.end_s

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal reached
        await reader.readline()
        down = is_down()
        reached += down
        writer.write(b"down\n" if down else b"well\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"ask\n")
            if await reader.readline() != b"well\n":
                raise ConnectionError("down")
        finally:
            writer.close()

    async def instance(number: int) -> None:
        rng = random.Random(seed * 1000 + number)
        breaker = CircuitBreaker(
            registry=None,
            random=rng.random,
            **policy,  # type: ignore[arg-type]
        )
        budget, calls = RetryBudget(), []
        at = rng.expovariate(outage.rate)
        while at < outage.end_s + outage.tail_s:
            await asyncio.sleep(max(0.0, began + at - time.monotonic()))
            calls.append(asyncio.create_task(call(breaker, budget, rng)))
            at += rng.expovariate(outage.rate)
        await asyncio.gather(*calls)

    async def call(breaker: CircuitBreaker, budget: RetryBudget, rng: random.Random) -> None:
        budget.deposit()
        for attempt in range(outage.attempts):
            try:
                await breaker.acall(ask)
            except CircuitBreakerOpen:
                return
            except OSError:
                if attempt + 1 == outage.attempts or not budget.withdraw():
                    return
                await asyncio.sleep(outage.retry_delay_s * 2**attempt * rng.random())
            else:
                return

    await asyncio.gather(*map(instance, range(instances)))
    server.close()
    return reached
