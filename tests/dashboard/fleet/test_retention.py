"""A worker forgets what the database has forgotten, and nothing that it has not stored yet."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from breakers.protocol import messages as wire
from breakers.protocol.codec import MSGPACK
from dashboard.bus.interface import partition_of
from dashboard.bus.memory import MemoryBus
from dashboard.fleet import services as fleet
from dashboard.fleet.checkpoint_batch import CursorKey
from dashboard.fleet.models import Cursor
from dashboard.fleet.state import FORGET_AFTER_S, FleetState
from dashboard.fleet.worker import FleetWorker
from dashboard.policies.models import BreakerPolicy
from dashboard.runtime.wiring import DatabaseStore

pytestmark = pytest.mark.django_db(transaction=True)
NOW = 1_800_000_000.0
WEEK = 7 * 86_400.0


class Capacity:
    """A worker, read by hand, on a clock of its own."""

    def __init__(self, store: DatabaseStore | None = None) -> None:
        self.bus = MemoryBus()
        self.at = NOW
        self.worker = FleetWorker(
            self.bus,
            store or DatabaseStore(),
            list,
            state=FleetState(),
            tick_s=1.0,
            checkpoint_s=1.0,
            wall=lambda: self.at,
        )

    async def report(self, service: str, seq: int = 1, boot: str = "b", store: bool = True) -> None:
        breaker = wire.BreakerReport(
            name="posts",
            state="open",
            counts=wire.Counts(success=1),
            policy={"retries": 2},
            transitions=[wire.Transition(1, 0.0, "closed", "open", "5 in a row")],
        )
        sent = wire.Report(
            service=service,
            instance=wire.Instance("one"),
            boot=boot,
            seq=seq,
            interval_s=1.0,
            breakers=[breaker],
        )
        batch = self.worker.checkpoints.batch(partition_of(service))
        assert batch is not None
        batch.position = (seq, 0)
        self.worker.state.fold(MSGPACK.from_agent(MSGPACK.encode(sent)), self.at, batch)
        if store:
            await self.worker.checkpoints.store()

    def pass_time(self, seconds: float) -> None:
        self.at += seconds
        self.worker.state.advance(self.at)

    def cursors(self, service: str) -> dict[Any, int]:
        return self.worker.state.services[service].cursors


@sync_to_async
def a_week_passes_in_the_database() -> None:
    Cursor.objects.update(at=timezone.now() - timedelta(days=8))


forget_old_incarnations = sync_to_async(fleet.forget_old_incarnations)


async def test_a_life_is_remembered_as_long_as_the_database_does() -> None:
    capacity = Capacity()
    await capacity.worker.share()
    await capacity.report("shop", seq=5)
    await capacity.report("shop", seq=1, boot="c")
    capacity.pass_time(FORGET_AFTER_S + 1)
    await capacity.worker.sweep()
    assert capacity.cursors("shop") == {("one", "b"): 5, ("one", "c"): 1}, "it may come back"
    await a_week_passes_in_the_database()
    await capacity.report("shop", seq=2, boot="c")
    assert await forget_old_incarnations() == 1
    await capacity.worker.sweep()
    assert capacity.cursors("shop") == {("one", "c"): 2}


async def test_a_service_of_which_nothing_is_left_is_forgotten_and_numbered_on_if_it_returns() -> (
    None
):
    capacity = Capacity()
    await capacity.worker.share()
    await capacity.report("shop")
    capacity.worker.state.frames(capacity.at)
    seq = capacity.worker.state.services["shop"].seq
    capacity.pass_time(WEEK + 1)
    await a_week_passes_in_the_database()
    await forget_old_incarnations()
    await capacity.worker.sweep()
    assert capacity.worker.state.services == {}
    await capacity.report("shop", boot="new")
    (frame,) = capacity.worker.state.frames(capacity.at)
    assert frame["seq"] > seq


async def test_what_is_not_stored_yet_is_not_forgotten() -> None:
    capacity = Capacity()
    await capacity.worker.share()
    await capacity.report("shop", store=False)
    await capacity.worker.sweep()
    assert capacity.cursors("shop") == {("one", "b"): 1}


class StoresMeanwhile(DatabaseStore):
    """A checkpoint, and a new life, fall just into the middle of the look."""

    meanwhile: Any = None

    def still_reported(self, breakers: Mapping[str, Collection[str]]) -> Collection[CursorKey]:
        stored = super().still_reported(breakers)
        self.meanwhile()
        return stored


async def test_nor_what_is_stored_or_comes_while_it_looks() -> None:
    store = StoresMeanwhile()
    capacity = Capacity(store)
    await capacity.worker.share()
    await capacity.report("shop", store=False)
    loop = asyncio.get_running_loop()

    async def more() -> None:
        await capacity.report("shop", boot="new", store=False)

    store.meanwhile = lambda: asyncio.run_coroutine_threadsafe(more(), loop).result(5)
    await capacity.worker.sweep()
    assert capacity.cursors("shop").keys() == {("one", "b"), ("one", "new")}


async def test_breakers_that_are_there_are_kept_in_mind_and_old_transitions_are_not() -> None:
    capacity = Capacity()
    await capacity.worker.share()
    await capacity.report("shop")
    await sync_to_async(BreakerPolicy.objects.update)(heard=timezone.now() - timedelta(days=99))
    await capacity.worker.sweep()
    head = await BreakerPolicy.objects.aget()
    assert timezone.now() - head.heard < timedelta(minutes=1)
    assert capacity.worker.state.services["shop"].last.keys() == {"posts"}
    capacity.pass_time(2 * 86_400)
    await capacity.worker.sweep()
    assert capacity.worker.state.services["shop"].last == {}


async def test_who_takes_over_watches_what_was_heard_of_during_the_last_week() -> None:
    capacity = Capacity()
    await capacity.worker.share()
    for service in ("shop", "bank"):
        await capacity.report(service)
    await sync_to_async(Cursor.objects.filter(service="bank").delete)()
    heir = Capacity()
    await heir.worker.share()
    assert heir.worker.state.services.keys() == {"shop"}
