"""What every bus does, in one process or through a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from breakers import wire
from dashboard.bus.memory import MemoryBus
from dashboard.bus.protocol import Bus, Subscription
from dashboard.bus.redis import RedisBus
from tests.servers import redis_server


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(params=["memory", "redis"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    if request.param == "memory":
        yield MemoryBus(topic_limit=5)
        return
    driver = RedisBus(request.getfixturevalue("redis_url"), topic_limit=5)
    await driver._redis.flushdb()
    yield driver
    await driver._redis.aclose()


def report(service: str = "shop", seq: int = 1) -> wire.Report:
    return wire.Report(
        service=service, instance=wire.Instance(id="one"), boot="b", seq=seq, interval_s=1.0
    )


async def read(bus: Bus, count: int) -> list[wire.FromAgent]:
    """That many messages, committed as they come."""
    messages: list[wire.FromAgent] = []
    async with asyncio.timeout(5):
        while len(messages) < count:
            for record in await bus.read(100):
                messages.append(record.message)
                bus.commit(record.offset)
    return messages


class Listener:
    """A subscription's payloads so far."""

    def __init__(self, subscription: Subscription) -> None:
        self.heard: list[bytes] = []
        self.subscription = subscription
        self.task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for payload in self.subscription:
            self.heard.append(payload)

    async def until(self, payload: bytes) -> None:
        async with asyncio.timeout(5):
            while payload not in self.heard:
                await asyncio.sleep(0.01)


async def listening(bus: Bus, topic: str) -> Listener:
    """A listener that is known to hear: Redis takes a moment to subscribe."""
    listener = Listener(bus.subscribe(topic))
    async with asyncio.timeout(5):
        while b"ready?" not in listener.heard:
            bus.publish(topic, b"ready?")
            await asyncio.sleep(0.02)
    listener.heard.clear()
    return listener


class TestLog:
    async def test_messages_of_a_service_are_read_in_order(self, bus: Bus) -> None:
        for seq in range(1, 51):
            await bus.append("shop", report(seq=seq))
        messages = await read(bus, 50)
        assert [each.seq for each in messages if isinstance(each, wire.Report)] == [*range(1, 51)]

    async def test_messages_come_out_as_they_went_in(self, bus: Bus) -> None:
        ack = wire.Ack(
            service="shop",
            instance="one",
            revision=7,
            items=[wire.AckItem("override", "posts", "refused", "x", "unknown state")],
        )
        await bus.append("shop", ack)
        assert await read(bus, 1) == [ack]

    async def test_all_services_are_read(self, bus: Bus) -> None:
        names = {f"service-{n}" for n in range(40)}
        for name in names:
            await bus.append(name, report(name))
        assert {each.service for each in await read(bus, 40)} == names

    async def test_what_was_committed_is_safe(self, bus: Bus) -> None:
        safe = await bus.append("shop", report())
        await read(bus, 1)
        async with asyncio.timeout(5):
            await safe

    async def test_a_reader_waits_for_the_first_message(self, bus: Bus) -> None:
        waiting = asyncio.create_task(bus.read(10))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await bus.append("shop", report())
        async with asyncio.timeout(5):
            assert len(await waiting) == 1

    async def test_it_is_there(self, bus: Bus) -> None:
        await bus.check()


class TestTopics:
    async def test_everybody_hears(self, bus: Bus) -> None:
        one, two = await listening(bus, "frames"), await listening(bus, "frames")
        bus.publish("frames", b"hello")
        await one.until(b"hello")
        await two.until(b"hello")

    async def test_what_is_told_in_a_row_is_heard_in_that_order(self, bus: Bus) -> None:
        listener = await listening(bus, "frames")
        for n in range(200):
            bus.publish("frames", b"%03d" % n)
            if n % 3 == 2:
                await asyncio.sleep(0.002)
        await listener.until(b"199")
        assert listener.heard == sorted(listener.heard)

    async def test_topics_do_not_mix(self, bus: Bus) -> None:
        frames, desired = await listening(bus, "frames"), await listening(bus, "desired")
        bus.publish("desired", b"shop")
        bus.publish("frames", b"frame")
        await desired.until(b"shop")
        await frames.until(b"frame")
        assert b"frame" not in desired.heard

    async def test_any_thread_may_publish(self, bus: Bus) -> None:
        listener = await listening(bus, "desired")
        threading.Thread(target=bus.publish, args=("desired", b"from a thread")).start()
        await listener.until(b"from a thread")

    async def test_a_slow_reader_loses_the_oldest_and_can_tell(self, bus: Bus) -> None:
        listener = await listening(bus, "frames")
        listener.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listener.task
        for n in range(20):
            bus.publish("frames", b"%d" % n)
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            while listener.subscription.take_missed() < 1:
                await asyncio.sleep(0.01)
        late = Listener(listener.subscription)
        await late.until(b"19")
        assert b"0" not in late.heard

    async def test_who_has_closed_hears_nothing_more(self, bus: Bus) -> None:
        listener = await listening(bus, "frames")
        listener.subscription.close()
        async with asyncio.timeout(5):
            await listener.task
        bus.publish("frames", b"late")
        await asyncio.sleep(0.05)
        assert b"late" not in listener.heard


async def test_in_memory_nothing_is_safe_before_the_commit() -> None:
    bus = MemoryBus()
    first, second = await bus.append("shop", report()), await bus.append("shop", report(seq=2))
    records = await bus.read(10)
    assert not first.done()
    assert bus.depth() == 2
    bus.commit(records[0].offset)
    assert first.done()
    assert not second.done()
    assert bus.depth() == 1


async def test_in_memory_a_full_log_makes_writers_wait() -> None:
    bus = MemoryBus(capacity=2)
    await bus.append("shop", report())
    await bus.append("shop", report(seq=2))
    third = asyncio.create_task(bus.append("shop", report(seq=3)))
    await asyncio.sleep(0.01)
    assert not third.done()
    bus.commit((await bus.read(1))[0].offset)
    async with asyncio.timeout(1):
        await third


async def test_in_redis_a_new_worker_finds_what_the_last_one_had_not_committed(
    redis_url: str, tmp_path: Path
) -> None:
    first = RedisBus(redis_url)
    await first._redis.flushdb()
    for seq in (1, 2, 3):
        await first.append("shop", report(seq=seq))
    records = await first.read(10)
    first.commit(records[0].offset)
    async with asyncio.timeout(5):
        while first._tasks:
            await asyncio.sleep(0.01)
    second = RedisBus(redis_url)
    again = await read(second, 2)
    assert [each.seq for each in again if isinstance(each, wire.Report)] == [2, 3]
    for each in (first, second):
        await each._redis.aclose()
