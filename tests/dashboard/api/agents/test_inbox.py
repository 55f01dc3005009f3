"""Acknowledgements are stored in batches before they are passed on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest
from django.db import DataError

from breakers.protocol import messages as wire
from breakers.protocol.codec import MSGPACK
from dashboard.api.agents.inbox import MessageInbox
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

    def knows(self, service: str, instance: str) -> bool:
        return instance != "stranger"


async def answer(inbox: MessageInbox, instance: str) -> None:
    ack = wire.Ack(service="shop", instance=instance, revision=1)
    await inbox.append("shop", ack, MSGPACK.encode(ack))


async def test_those_that_come_while_others_are_stored_share_the_next_transaction() -> None:
    rows, bus = Rows(), MemoryBus()
    inbox = MessageInbox(bus, rows.record, Capacity())
    first = asyncio.create_task(answer(inbox, "i0"))
    await asyncio.sleep(0.05)
    others = [asyncio.create_task(answer(inbox, f"i{n}")) for n in range(1, 40)]
    await asyncio.sleep(0.05)
    assert bus.depth() == 0, "nothing goes on before it is stored"
    rows.go_on.set()
    async with asyncio.timeout(5):
        await asyncio.gather(first, *others)
    assert rows.stored == [["i0"], [f"i{n}" for n in range(1, 40)]]
    assert bus.depth() == 40


async def test_who_could_not_be_stored_hears_so_and_the_next_try_is_a_fresh_one() -> None:
    rows, bus = Rows(), MemoryBus()
    inbox = MessageInbox(bus, rows.record, Capacity())
    rows.fails = True
    rows.go_on.set()
    with pytest.raises(OSError, match="disk is full"):
        await answer(inbox, "i0")
    rows.fails = False
    await answer(inbox, "i0")
    assert bus.depth() == 1


async def test_reports_do_not_wait() -> None:
    rows, bus = Rows(), MemoryBus()
    inbox = MessageInbox(bus, rows.record, Capacity())
    report = wire.Report(
        service="shop", instance=wire.Instance("i"), boot="b", seq=1, interval_s=1.0
    )
    await inbox.append("shop", report, MSGPACK.encode(report))
    assert bus.depth() == 1


async def test_an_instance_without_room_is_told_so_and_nothing_of_it_goes_on() -> None:
    bus = MemoryBus()
    inbox = MessageInbox(bus, Rows().record, Capacity("i5001"))
    for id in ("i1", "i5001"):
        report = wire.Report(
            service="shop", instance=wire.Instance(id), boot="b", seq=1, interval_s=1.0
        )
        if id == "i1":
            await inbox.append("shop", report, MSGPACK.encode(report))
            continue
        with pytest.raises(wire.WireError) as refused:
            await inbox.append("shop", report, MSGPACK.encode(report))
    assert refused.value.refused.code == "busy"
    assert refused.value.refused.field == "$.instance.id"
    assert "'i5001' has to wait" in refused.value.refused.message
    assert bus.depth() == 1


async def test_batches_that_mix_services_fail_by_service() -> None:
    """One service's bad data must not close the sockets of another."""
    stored: list[str] = []

    def record(acks: Sequence[tuple[str, wire.Ack]]) -> None:
        if any(service == "bad" for service, _ in acks):
            raise DataError("a value that the database refuses")
        stored.extend(ack.instance for _, ack in acks)

    inbox = MessageInbox(MemoryBus(), record, Capacity())

    async def answer_of(service: str, instance: str) -> None:
        ack = wire.Ack(service=service, instance=instance, revision=1)
        await inbox.append(service, ack, MSGPACK.encode(ack))

    results = await asyncio.gather(
        answer_of("good", "a"), answer_of("bad", "b"), answer_of("good", "c"),
        return_exceptions=True,
    )  # fmt: skip
    assert [type(each) for each in results] == [type(None), DataError, type(None)]
    assert stored == ["a", "c"]


async def test_acknowledgements_of_instances_that_never_reported_are_not_stored() -> None:
    rows = Rows()
    rows.go_on.set()
    await answer(MessageInbox(MemoryBus(), rows.record, Capacity()), "stranger")
    assert rows.stored == []
