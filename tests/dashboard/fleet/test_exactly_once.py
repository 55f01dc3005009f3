"""A worker that dies between storing and answering: nothing is lost, nothing is counted twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from breakers import wire
from dashboard.bus.memory import MemoryBus
from dashboard.composition import DatabaseStore
from dashboard.fleet.batch import Batch
from dashboard.fleet.state import FleetState
from dashboard.fleet.worker import FleetWorker
from dashboard.history.models import Rollup

pytestmark = pytest.mark.django_db(transaction=True)


class DiesAfterStoring(DatabaseStore):
    """Stores the first batch, and takes the process with it before anybody hears."""

    def absorb(self, batch: Batch) -> None:
        super().absorb(batch)
        raise SystemExit


def worker(bus: MemoryBus, store: DatabaseStore) -> FleetWorker:
    state = FleetState()
    return FleetWorker(bus, store, list, state=state, tick_s=0.01, checkpoint_s=0.02)


def report(seq: int) -> wire.Report:
    breaker = wire.BreakerReport(name="posts", state="closed", counts=wire.Counts(success=10))
    return wire.Report(
        service="shop",
        instance=wire.Instance(id="one"),
        boot="b",
        seq=seq,
        interval_s=1.0,
        breakers=[breaker],
    )


async def stored() -> int:
    rows: list[Any] = await sync_to_async(
        lambda: list(Rollup.objects.values_list("success", flat=True))
    )()
    return sum(rows)


async def test_what_was_stored_but_not_answered_is_known_when_it_comes_again() -> None:
    first = MemoryBus()
    doomed = worker(first, DiesAfterStoring())
    running = asyncio.create_task(doomed._consume())
    unanswered = [await first.append("shop", report(seq)) for seq in (1, 2, 3)]
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(SystemExit):
        await sync_to_async(doomed._store.absorb)(doomed._batch)
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

        def absorb(self, batch: Batch) -> None:
            if self.failures:
                self.failures -= 1
                raise OSError("the disk is full")
            super().absorb(batch)

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
