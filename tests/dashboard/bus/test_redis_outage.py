"""What may be lost with a Redis is given up together with all that came after it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError

from dashboard.bus.redis import keys
from dashboard.bus.redis.appender import Appender
from dashboard.bus.redis.bus import RedisBus
from dashboard.bus.redis.connections import Line, connect
from tests.servers import RedisServer


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    with RedisServer(tmp_path) as running:
        yield running


async def test_what_waits_its_turn_is_not_sent_over_another_connection(
    server: RedisServer,
) -> None:
    client = connect(server.url)
    line = Line(client, "any")
    assert await line.ask([["PING"]]) == [b"PONG"]
    incarnation = line.incarnation
    server.end()
    server.start()
    first = asyncio.create_task(line.ask([["PING"]]))
    second = asyncio.create_task(line.ask([["SET", "behind", "the gap"]], incarnation))
    with pytest.raises((ConnectionError, OSError)):
        await first
    with pytest.raises(ConnectionError):
        await second
    assert await line.ask([["EXISTS", "behind"]], line.incarnation) == [0]
    await line.aclose()
    await client.aclose()


async def test_what_waits_for_room_is_given_up_with_what_came_before_it(
    server: RedisServer,
) -> None:
    client = connect(server.url)
    appender = Appender(Line(client, keys.log(0)), capacity=1)
    first = await appender.add(0, b"\x01")
    await asyncio.sleep(0.2)
    # The log is full with one, so this one is refused, and whoever comes next must wait.
    second = await appender.add(0, b"\x02")
    await asyncio.sleep(0.2)
    third = asyncio.create_task(appender.add(0, b"\x03"))
    await asyncio.sleep(0.2)
    assert not third.done()
    server.end()
    lost = await asyncio.wait_for(third, 10)
    assert first.cancelled()
    assert second.cancelled()
    assert lost.cancelled()
    await appender.aclose()
    await client.aclose()


async def test_a_subscriber_can_tell_that_its_connection_was_replaced(server: RedisServer) -> None:
    """Also where the client reconnects by itself: what was told in between is lost."""
    bus = RedisBus(server.url)
    subscription = bus.subscribe("frames")
    payloads = aiter(subscription)

    async def until_heard() -> None:
        while True:
            bus.publish("frames", b"told")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(following), 0.2)
                return

    following = asyncio.ensure_future(anext(payloads))
    await asyncio.wait_for(until_heard(), 10)
    subscription.take_missed()
    server.end()
    server.start()
    following = asyncio.ensure_future(anext(payloads))
    await asyncio.wait_for(until_heard(), 20)
    assert subscription.take_missed() >= 1
    subscription.close()
    await bus.aclose()
