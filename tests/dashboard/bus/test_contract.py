"""What every bus does: in one process, through a real Redis, and through a real Redis Cluster."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from breakers.protocol import messages as wire
from breakers.protocol.codec import MSGPACK
from dashboard.bus.interface import ALL, Bus, Log, LogEntry, Subscription, partition_of
from dashboard.bus.memory import MemoryBus
from dashboard.bus.redis.bus import RedisBus
from tests.servers import redis_cluster, redis_server


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="module")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as url:
        yield url


def emptied(url: str) -> str:
    """The same address, with nothing behind it."""
    if "+cluster" in url:
        with redis.RedisCluster.from_url(url.replace("+cluster", "")) as cluster:
            cluster.flushall(target_nodes=redis.RedisCluster.PRIMARIES)
    else:
        with redis.Redis.from_url(url) as server:
            server.flushall()
    return url


@pytest.fixture(params=["memory", "redis", "cluster"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    driver: Bus
    if request.param == "memory":
        driver = MemoryBus(topic_limit=5)
    else:
        url = emptied(request.getfixturevalue(f"{request.param}_url"))
        driver = RedisBus(url, topic_limit=5)
    yield driver
    await driver.aclose()


def report(service: str = "shop", seq: int = 1) -> bytes:
    made = wire.Report(
        service=service, instance=wire.Instance(id="one"), boot="b", seq=seq, interval_s=1.0
    )
    return MSGPACK.encode(made)


async def opened(bus: Bus) -> Log:
    """The log as its only worker has it."""
    log = bus.log()
    shares = await log.share()
    assert shares.taken == ALL == log.held()
    await log.open(ALL)
    return log


async def entries(log: Log, count: int) -> list[LogEntry]:
    """The next entries, until they hold that many messages."""
    found: list[LogEntry] = []
    async with asyncio.timeout(10):
        while sum(len(each.messages) for each in found) < count:
            found += await log.read()
    return found


async def read(log: Log, count: int) -> list[wire.FromAgent]:
    """That many messages, committed as they come."""
    found = await entries(log, count)
    await commit(log, found)
    return [message for each in found for message in each.messages]


async def commit(log: Log, found: list[LogEntry]) -> None:
    await log.commit({each.partition: each.position for each in found})


def seqs(found: list[wire.FromAgent]) -> list[int]:
    return [each.seq for each in found if isinstance(each, wire.Report)]


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
        # Several may be under way; what is asked last is heard last.
        bus.publish(topic, b"ready!")
        await listener.until(b"ready!")
    listener.heard.clear()
    return listener


class TestLog:
    async def test_messages_of_a_service_are_read_in_order(self, bus: Bus) -> None:
        log = await opened(bus)
        for seq in range(1, 51):
            await bus.append("shop", report(seq=seq))
            if seq % 10 == 0:
                await asyncio.sleep(0.02)
        assert seqs(await read(log, 50)) == [*range(1, 51)]

    async def test_messages_come_out_as_they_went_in(self, bus: Bus) -> None:
        log = await opened(bus)
        ack = wire.Ack(
            service="shop",
            instance="one",
            revision=7,
            items=[wire.AckItem("override", "posts", "refused", "x", "unknown state")],
        )
        await bus.append("shop", MSGPACK.encode(ack))
        assert await read(log, 1) == [ack]

    async def test_all_services_are_read_each_in_its_partition(self, bus: Bus) -> None:
        log = await opened(bus)
        names = {f"service-{n}" for n in range(40)}
        for name in names:
            await bus.append(name, report(name))
        found = await entries(log, 40)
        services = {message.service for each in found for message in each.messages}
        assert services == names
        for each in found:
            assert {partition_of(m.service) for m in each.messages} == {each.partition}

    async def test_nothing_is_safe_before_it_is_committed(self, bus: Bus) -> None:
        log = await opened(bus)
        first = await bus.append("shop", report())
        found = await entries(log, 1)
        await asyncio.sleep(0.05)
        second = await bus.append("shop", report(seq=2))
        await asyncio.sleep(0.05)
        assert not first.done()
        assert bus.depth() == 2
        await commit(log, found)
        async with asyncio.timeout(5):
            await first
        assert not second.done()
        assert bus.depth() == 1
        await commit(log, await entries(log, 1))
        async with asyncio.timeout(5):
            await second
        assert bus.depth() == 0

    async def test_what_was_committed_before_anybody_listened_is_safe_all_the_same(
        self, bus: Bus
    ) -> None:
        safe = await bus.append("shop", report())
        log = await opened(bus)
        await commit(log, await entries(log, 1))
        async with asyncio.timeout(10):
            while not safe.done():
                await log.share()
                await asyncio.sleep(0.05)

    async def test_a_reader_waits_for_the_first_message(self, bus: Bus) -> None:
        log = await opened(bus)
        waiting = asyncio.create_task(entries(log, 1))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await bus.append("shop", report())
        assert len(await waiting) == 1

    async def test_a_closed_partition_is_not_read(self, bus: Bus) -> None:
        log = await opened(bus)
        log.close(partition_of("shop"))
        await bus.append("shop", report())
        assert partition_of("users") != partition_of("shop")
        await bus.append("users", report("users"))
        found = await entries(log, 1)
        assert {each.partition for each in found} == {partition_of("users")}

    async def test_opened_again_it_begins_with_what_was_not_committed(self, bus: Bus) -> None:
        log = await opened(bus)
        for seq in (1, 2, 3):
            await bus.append("shop", report(seq=seq))
            await asyncio.sleep(0.03)
        found = await entries(log, 3)
        await commit(log, found[:1])
        log.close(partition_of("shop"))
        await log.open(frozenset({partition_of("shop")}))
        assert seqs(await read(log, 2)) == [2, 3]

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
        listener.subscription.take_missed()
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


async def test_in_memory_a_full_log_makes_writers_wait() -> None:
    bus = MemoryBus(capacity=2)
    log = await opened(bus)
    await bus.append("shop", report())
    await bus.append("shop", report(seq=2))
    third = asyncio.create_task(bus.append("shop", report(seq=3)))
    await asyncio.sleep(0.01)
    assert not third.done()
    await commit(log, (await log.read())[:1])
    async with asyncio.timeout(1):
        await third
