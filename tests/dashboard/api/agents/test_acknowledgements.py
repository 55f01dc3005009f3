"""Acknowledgements are stored before they go on, many at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from breakers.protocol import messages as wire
from breakers.protocol.codec import MSGPACK
from dashboard.api.agents.acknowledgements import AckKeeper
from dashboard.bus.memory import MemoryBus

# Storing goes through the database's thread, whatever stores.
pytestmark = pytest.mark.django_db


class Rows:
    """Where they are stored, as slowly as the test wants."""

    def __init__(self) -> None:
        self.stored: list[list[str]] = []
        self.go_on = threading.Event()
        self.fails = False

    def record(self, acks: Sequence[tuple[str, wire.Ack]]) -> None:
        assert self.go_on.wait(5)
        if self.fails:
            raise OSError("the disk is full")
        self.stored.append([ack.instance for _, ack in acks])


class Capacity:
    """There is some for all but these."""

    def __init__(self, *without: str) -> None:
        self._without = without

    def has_capacity(self, service: str, instance: str) -> bool:
        return instance not in self._without

    def over_capacity(self, service: str, instance: str) -> list[str]:
        return []


async def answer(keeper: AckKeeper, instance: str) -> None:
    ack = wire.Ack(service="shop", instance=instance, revision=1)
    await keeper.append("shop", ack, MSGPACK.encode(ack))


async def test_those_that_come_while_others_are_stored_share_the_next_transaction() -> None:
    rows, bus = Rows(), MemoryBus()
    keeper = AckKeeper(bus, rows.record, Capacity())
    first = asyncio.create_task(answer(keeper, "i0"))
    await asyncio.sleep(0.05)
    others = [asyncio.create_task(answer(keeper, f"i{n}")) for n in range(1, 40)]
    await asyncio.sleep(0.05)
    assert bus.depth() == 0, "nothing goes on before it is stored"
    rows.go_on.set()
    async with asyncio.timeout(5):
        await asyncio.gather(first, *others)
    assert rows.stored == [["i0"], [f"i{n}" for n in range(1, 40)]]
    assert bus.depth() == 40


async def test_who_could_not_be_stored_hears_so_and_the_next_try_is_a_fresh_one() -> None:
    rows, bus = Rows(), MemoryBus()
    keeper = AckKeeper(bus, rows.record, Capacity())
    rows.fails = True
    rows.go_on.set()
    with pytest.raises(OSError, match="disk is full"):
        await answer(keeper, "i0")
    rows.fails = False
    await answer(keeper, "i0")
    assert bus.depth() == 1


async def test_reports_do_not_wait() -> None:
    rows, bus = Rows(), MemoryBus()
    keeper = AckKeeper(bus, rows.record, Capacity())
    report = wire.Report(
        service="shop", instance=wire.Instance("i"), boot="b", seq=1, interval_s=1.0
    )
    await keeper.append("shop", report, MSGPACK.encode(report))
    assert bus.depth() == 1


async def test_an_instance_without_room_is_told_so_and_nothing_of_it_goes_on() -> None:
    bus = MemoryBus()
    keeper = AckKeeper(bus, Rows().record, Capacity("i5001"))
    for id in ("i1", "i5001"):
        report = wire.Report(
            service="shop", instance=wire.Instance(id), boot="b", seq=1, interval_s=1.0
        )
        if id == "i1":
            await keeper.append("shop", report, MSGPACK.encode(report))
            continue
        with pytest.raises(wire.WireError) as refused:
            await keeper.append("shop", report, MSGPACK.encode(report))
    assert refused.value.refused.code == "busy"
    assert refused.value.refused.field == "$.instance.id"
    assert "'i5001' has to wait" in refused.value.refused.message
    assert bus.depth() == 1
