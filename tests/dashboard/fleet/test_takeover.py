"""Several workers on one log: shared out, taken over, and nothing stored twice, through a real
Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import redis
from asgiref.sync import sync_to_async

from breakers.protocol import messages as wire
from breakers.protocol.codec import MSGPACK
from dashboard.bus.interface import ALL
from dashboard.bus.redis import leases
from dashboard.bus.redis.bus import RedisBus
from dashboard.fleet.batch_merging import by_service, merged
from dashboard.fleet.checkpoint_batch import Batch, Delta
from dashboard.fleet.checkpoints import Checkpoints
from dashboard.fleet.models import Cursor, DeadLetter
from dashboard.fleet.services import fence_off
from dashboard.fleet.state import FleetState
from dashboard.fleet.worker import FleetWorker
from dashboard.history.models import Rollup
from dashboard.runtime.wiring import DatabaseStore
from tests.servers import redis_server

pytestmark = pytest.mark.django_db(transaction=True)
# A bucket that history keeps.
NOW = int(time.time()) // 10 * 10


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as address:
        yield address


@pytest.fixture
async def bus(url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RedisBus]:
    monkeypatch.setattr(leases, "TTL_S", 0.6)
    monkeypatch.setattr(leases, "_TRUST_S", 0.5)
    monkeypatch.setattr("dashboard.fleet.worker._SHARE_EVERY_S", 0.1)
    with redis.Redis.from_url(url) as server:
        server.flushall()
    driver = RedisBus(url)
    yield driver
    await driver.aclose()


def worker(bus: RedisBus) -> FleetWorker:
    state = FleetState()
    return FleetWorker(bus, DatabaseStore(), list, state=state, tick_s=0.05, checkpoint_s=0.05)


@asynccontextmanager
async def running(made: FleetWorker) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(made.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


def report(service: str, seq: int) -> bytes:
    breaker = wire.BreakerReport(name="posts", state="closed", counts=wire.Counts(success=1))
    made = wire.Report(
        service=service,
        instance=wire.Instance(id="one"),
        boot="b",
        seq=seq,
        interval_s=1.0,
        breakers=[breaker],
    )
    return MSGPACK.encode(made)


SERVICES = [f"service-{n}" for n in range(20)]


async def send(bus: RedisBus, seq: int) -> list[asyncio.Future[None]]:
    return [await bus.append(service, report(service, seq)) for service in SERVICES]


@sync_to_async
def stored() -> int:
    return sum(Rollup.objects.values_list("success", flat=True))


async def until_shared(*workers: FleetWorker) -> None:
    async with asyncio.timeout(10):
        while True:
            shares = [each._log.held() & each._open for each in workers]
            sizes = sorted(map(len, shares))
            if frozenset().union(*shares) == ALL and sizes[-1] - sizes[0] <= 1:
                return
            await asyncio.sleep(0.05)


async def test_partitions_are_evened_out_among_those_who_come_and_go(bus: RedisBus) -> None:
    one, two = worker(bus), worker(bus)
    async with running(one):
        await until_shared(one)
        await asyncio.wait(await send(bus, 1), timeout=10)
        async with running(two):
            await until_shared(one, two)
            await asyncio.wait(await send(bus, 2), timeout=10)
            assert not one._open & two._open
        await until_shared(one)
        await asyncio.wait(await send(bus, 3), timeout=10)
    assert await stored() == 3 * len(SERVICES)


async def test_what_a_dead_worker_had_read_is_counted_by_another_and_only_there(
    bus: RedisBus,
) -> None:
    dead, heir = worker(bus), worker(bus)
    await dead.share()
    reading = asyncio.create_task(dead._consume())
    safe = await send(bus, 1)
    async with asyncio.timeout(5):
        while len(dead.state.services) < len(SERVICES):
            await asyncio.sleep(0.01)
    reading.cancel()
    assert not any(each.done() for each in safe)

    async with running(heir):
        await asyncio.wait(safe, timeout=10)
        assert all(each.done() for each in safe)
        assert await stored() == len(SERVICES)
        # It was only stopped, and goes on where it was: with a batch that is not its own any more.
        assert dead._shown() == frozenset()
        assert await dead.checkpoints.store_once()
        assert dead.state.services == {}
        assert await stored() == len(SERVICES)


async def test_a_worker_that_slept_reads_nothing_of_what_came_meanwhile(bus: RedisBus) -> None:
    asleep, heir = worker(bus), worker(bus)
    await asleep.share()
    async with running(heir):
        await until_shared(heir)
        reading = asyncio.create_task(asleep._consume())
        safe = await send(bus, 1)
        await asyncio.wait(safe, timeout=10)
        reading.cancel()
        assert asleep.state.services == {}
    assert await stored() == len(SERVICES)


async def test_a_new_server_without_the_data_makes_agents_send_again(
    bus: RedisBus, url: str
) -> None:
    first = await bus.append("shop", report("shop", 1))
    await asyncio.sleep(0.1)
    with redis.Redis.from_url(url) as server:
        server.flushall()
        for each in server.client_list(_type="normal"):
            if each["cmd"] == "eval":
                server.client_kill_filter(_id=each["id"])
    second = await bus.append("shop", report("shop", 2))
    await asyncio.wait({first, second}, timeout=5)
    assert first.cancelled()
    assert second.cancelled(), "it must not be counted before the first"


async def test_a_full_partition_makes_writers_wait_and_loses_nothing(url: str) -> None:
    with redis.Redis.from_url(url) as server:
        server.flushall()
    small = RedisBus(url, capacity=1000)
    log = small.log()
    await log.share()
    await log.open(ALL)
    safe = []

    async def write() -> None:
        for seq in range(1, 101):
            safe.append(await small.append("shop", report("shop", seq)))
            await asyncio.sleep(0.002)

    writing = asyncio.create_task(write())
    await asyncio.sleep(0.5)
    assert not writing.done()
    seqs: list[int] = []
    async with asyncio.timeout(20):
        while len(seqs) < 100:
            for entry in await log.read():
                seqs += [m.seq for m in entry.messages if isinstance(m, wire.Report)]
                await log.commit({entry.partition: entry.position})
        await writing
        await asyncio.wait(safe)
    assert seqs == [*range(1, 101)]
    await small.aclose()


class TestPoison:
    """A batch that the database will never take."""

    async def test_it_is_put_aside_and_what_came_with_it_is_stored(self) -> None:
        store, committed = DatabaseStore(), {}

        async def commit(positions: object) -> None:
            committed.update(positions)  # type: ignore[call-overload]

        checkpoints = Checkpoints(store, commit, lambda _: None)
        epochs = await sync_to_async(store.inherit)(ALL)
        for partition, epoch in epochs.epochs.items():
            checkpoints.begin(partition, epoch)
        for number, success in ((3, 7), (3, 2**70), (4, 5)):
            batch = checkpoints.batch(number)
            assert batch is not None
            service = f"{number}-{success}"
            # Counts stop at a bound; a time that no column takes does not.
            start = NOW if success < 2**63 else success
            batch.deltas[service, "posts", start] = Delta({"success": success})
            batch.cursors[service, "one", "b"] = 9
            batch.position = (number, 0)

        assert not await checkpoints.store_once(), (
            "once more: it might have been a moment's trouble"
        )
        assert await checkpoints.store_once()
        assert committed == {3: (3, 0), 4: (4, 0)}
        assert await stored() == 12
        letters = await sync_to_async(lambda: list(DeadLetter.objects.all()))()
        assert [each.service for each in letters] == [f"3-{2**70}"]
        assert str(2**70) in letters[0].body
        assert "OverflowError" in letters[0].error
        assert await sync_to_async(Cursor.objects.count)() == 3

    async def test_a_fence_stops_one_partition_and_not_the_others(self) -> None:
        store, lost = DatabaseStore(), set()

        async def commit(positions: object) -> None:
            assert positions == {4: (4, 0)}

        checkpoints = Checkpoints(store, commit, lost.update)
        epochs = await sync_to_async(store.inherit)(ALL)
        for number in (3, 4):
            checkpoints.begin(number, epochs.epochs[number])
            batch = checkpoints.batch(number)
            assert batch is not None
            batch.deltas[f"service-{number}", "posts", NOW] = Delta({"success": number})
            batch.position = (number, 0)
        await sync_to_async(fence_off)(frozenset({3}))
        assert await checkpoints.store_once()
        assert lost == {3}
        assert checkpoints.batch(3) is None
        assert await stored() == 4


def test_a_batch_in_pieces_is_the_same_batch() -> None:
    batch = Batch(deltas={("a", "x", 0): Delta({"success": 1}), ("b", "x", 0): Delta()})
    assert merged(by_service(batch)).deltas == batch.deltas
