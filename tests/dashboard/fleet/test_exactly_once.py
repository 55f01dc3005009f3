"""A worker that dies between storing and answering: nothing is lost, nothing is counted twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from breakers.protocol import messages as wire
from breakers.protocol.codec import MSGPACK
from dashboard.bus.interface import partition_of
from dashboard.bus.memory import MemoryBus
from dashboard.fleet.checkpoint_batch import Batch
from dashboard.fleet.state import FleetState
from dashboard.fleet.worker import FleetWorker
from dashboard.history.models import Rollup
from dashboard.runtime.wiring import DatabaseStore

pytestmark = pytest.mark.django_db(transaction=True)


class DiesAfterStoring(DatabaseStore):
    """Stores the first batch, and takes the process with it before anybody hears."""

    def absorb(self, batches: Sequence[Batch]) -> None:
        super().absorb(batches)
        raise SystemExit


def worker(bus: MemoryBus, store: DatabaseStore) -> FleetWorker:
    state = FleetState()
    return FleetWorker(bus, store, list, state=state, tick_s=0.01, checkpoint_s=0.02)


def report(seq: int) -> bytes:
    breaker = wire.BreakerReport(name="posts", state="closed", counts=wire.Counts(success=10))
    made = wire.Report(
        service="shop",
        instance=wire.Instance(id="one"),
        boot="b",
        seq=seq,
        interval_s=1.0,
        breakers=[breaker],
    )
    return MSGPACK.encode(made)


async def stored() -> int:
    rows: list[Any] = await sync_to_async(
        lambda: list(Rollup.objects.values_list("success", flat=True))
    )()
    return sum(rows)


async def test_what_was_stored_but_not_answered_is_known_when_it_comes_again() -> None:
    first, store = MemoryBus(), DiesAfterStoring()
    doomed = worker(first, store)
    await doomed.share()
    running = asyncio.create_task(doomed._consume())
    unanswered = [await first.append("shop", report(seq)) for seq in (1, 2, 3)]
    await asyncio.sleep(0.05)
    running.cancel()
    counted = doomed.checkpoints.batch(partition_of("shop"))
    assert counted
    doomed.state.flush(counted)
    with pytest.raises(SystemExit):
        await sync_to_async(store.absorb)([counted])
    assert not any(safe.done() for safe in unanswered)
    assert await stored() == 30

    second = MemoryBus()
    heir = asyncio.create_task(worker(second, DatabaseStore()).run())
    again = [await second.append("shop", report(seq)) for seq in (1, 2, 3, 4)]
    async with asyncio.timeout(10):
        await asyncio.gather(*again)
    heir.cancel()
    with pytest.raises(asyncio.CancelledError):
        await heir
    assert await stored() == 40


async def test_a_database_that_fails_is_waited_for_and_nothing_is_safe_meanwhile() -> None:
    class Flaky(DatabaseStore):
        failures = 1

        def absorb(self, batches: Sequence[Batch]) -> None:
            if self.failures:
                self.failures -= 1
                raise OSError("the disk is full")
            super().absorb(batches)

    bus = MemoryBus()
    running = asyncio.create_task(worker(bus, Flaky()).run())
    safe = await bus.append("shop", report(1))
    await asyncio.sleep(0.3)
    assert not safe.done()
    async with asyncio.timeout(10):
        await safe
    assert await stored() == 10
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


class Gated(DatabaseStore):
    """Lets the test decide when a write ends and how."""

    def __init__(self, failures: int = 0) -> None:
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.failures = failures
        self.writes = 0

    def absorb(self, batches: Sequence[Batch]) -> None:
        self.writes += 1
        self.entered.set()
        assert self.go_on.wait(10)
        if self.writes <= self.failures:
            raise OSError("the disk is full")
        super().absorb(batches)


async def stopped(running: asyncio.Task[None]) -> None:
    if not running.cancelling():
        running.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(20):
            await running


@pytest.mark.parametrize("failures", [0, 1], ids=["it succeeds", "it fails"])
async def test_stopping_during_a_write_stores_it_once_before_calling_anything_safe(
    failures: int,
) -> None:
    bus, store = MemoryBus(), Gated(failures)
    running = asyncio.create_task(worker(bus, store).run())
    first = await bus.append("shop", report(1))
    while not store.entered.is_set():
        await asyncio.sleep(0.005)
    second = await bus.append("shop", report(2))
    await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.sleep(0.05)
    assert not first.done()
    store.go_on.set()
    await stopped(running)
    assert first.done()
    assert second.done()
    assert await stored() == 20


async def test_stopping_between_two_tries_loses_nothing() -> None:
    bus, store = MemoryBus(), Gated(failures=1)
    store.go_on.set()
    running = asyncio.create_task(worker(bus, store).run())
    first = await bus.append("shop", report(1))
    while store.writes == 0:
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.1)
    second = await bus.append("shop", report(2))
    await asyncio.sleep(0.05)
    await stopped(running)
    assert first.done()
    assert second.done()
    assert await stored() == 20


async def test_stopping_without_a_database_ends_and_calls_nothing_safe() -> None:
    bus, store = MemoryBus(), Gated(failures=1000)
    store.go_on.set()
    running = asyncio.create_task(worker(bus, store).run())
    unsafe = await bus.append("shop", report(1))
    while store.writes == 0:
        await asyncio.sleep(0.005)
    await stopped(running)
    assert not unsafe.done(), "agents send it again"
    assert await stored() == 0
