"""What waits for Redis is bounded, and what waits for one partition holds up no other."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dashboard.bus.redis import keys
from dashboard.bus.redis.appender import Appender
from dashboard.bus.redis.connections import Line, connect
from tests.servers import RedisServer

MB = 2**20
MESSAGE = b"\xc5\xff\xff" + bytes(65_535)  # 64 kB of MessagePack


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    with RedisServer(tmp_path) as running:
        yield running


@pytest.fixture
async def line(server: RedisServer) -> AsyncIterator[Line]:
    client = connect(server.url)
    yield Line(client, keys.log(0))
    await client.aclose()


@pytest.fixture
async def held_up(server: RedisServer, line: Line) -> AsyncIterator[Appender]:
    """To a Redis that was there and does not answer any more."""
    await line.ask([["PING"]])
    appender = Appender(line, capacity=1000 * MB)
    server.send(signal.SIGSTOP)
    yield appender
    await appender.aclose()


async def gathered(appender: Appender) -> list[asyncio.Task[asyncio.Future[None]]]:
    """Many who want to add something, some of whom have to wait."""
    adding = [asyncio.create_task(appender.add(n % 4, MESSAGE)) for n in range(400)]
    await asyncio.sleep(0.2)
    # One round is on its way, one is gathered.
    assert 0 < sum(len(MESSAGE) for each in adding if each.done()) <= 9 * MB
    return adding


async def test_whoever_comes_when_much_is_gathered_waits_until_redis_has_taken_it(
    server: RedisServer, held_up: Appender
) -> None:
    adding = await gathered(held_up)
    server.send(signal.SIGCONT)
    async with asyncio.timeout(20):
        await asyncio.gather(*adding)
    assert held_up.depth() == 400


async def test_those_who_waited_are_told_when_redis_is_gone(
    server: RedisServer, held_up: Appender
) -> None:
    adding = await gathered(held_up)
    server.end(signal.SIGKILL)
    async with asyncio.timeout(20):
        futures = await asyncio.gather(*adding)
    assert {each.cancelled() for each in futures} == {True}


async def test_a_full_partition_keeps_no_room_from_the_others(line: Line) -> None:
    await line.ask([["SET", keys.size(0), 1000 * MB]])
    appender = Appender(line, capacity=100 * MB)
    held = [asyncio.create_task(appender.add(0, MESSAGE)) for _ in range(400)]
    await asyncio.sleep(0.1)
    async with asyncio.timeout(20):
        for _ in range(160):
            await appender.add(1, MESSAGE)
    assert not all(each.done() for each in held)
    await line.ask([["SET", keys.size(0), 0]])
    async with asyncio.timeout(20):
        await asyncio.gather(*held)
    await appender.aclose()
