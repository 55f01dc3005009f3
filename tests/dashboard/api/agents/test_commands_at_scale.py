"""Commands at scale: a changed desired state is read and encoded once, and nobody is held up while
thousands of connections are told."""

from __future__ import annotations

import asyncio

import pytest
from django.db import OperationalError

from breakers.protocol import messages as wire
from breakers.protocol.codec import JSON, MSGPACK
from dashboard.api.agents.desired_feed import DesiredFeed
from dashboard.bus.memory import MemoryBus
from dashboard.control.desired_state import DesiredState
from dashboard.fleet.services import DESIRED

pytestmark = pytest.mark.django_db
MANY = 1000


class Stored(DesiredState):
    """Counts how often the desired state is read."""

    def __init__(self) -> None:
        super().__init__(lambda service: [])
        self.reads = 0
        self.fails = False

    def compose(self, service: str) -> wire.Desired:
        self.reads += 1
        if self.fails:
            raise OperationalError("the database is away")
        return wire.Desired(revision=self.reads)


class Feed:
    """A feed that runs, with the connections of a service."""

    def __init__(self) -> None:
        self.bus, self.stored = MemoryBus(), Stored()
        self.feed = DesiredFeed(self.bus, self.stored)
        self.events = [asyncio.Event() for _ in range(MANY)]
        for each in self.events:
            self.feed.listen("shop", each)
        self.running = asyncio.create_task(self.feed.run())

    async def woken(self) -> None:
        """Until every connection was woken."""
        async with asyncio.timeout(20):
            for each in self.events:
                await each.wait()
        for each in self.events:
            each.clear()

    def change(self) -> None:
        self.bus.publish(DESIRED, b"shop")


async def test_it_is_read_once_for_all_connections_and_encoded_once_for_each_format() -> None:
    feed = Feed()
    await feed.woken()
    before = feed.stored.reads
    feed.change()
    await feed.woken()
    found = [await feed.feed.encoded("shop", MSGPACK, ()) for _ in range(MANY)]
    assert feed.stored.reads == before + 1
    assert len({id(each.data) for each in found}) == 1
    assert (await feed.feed.encoded("shop", JSON, ())).revision == found[0].revision
    assert feed.stored.reads == before + 1
    feed.running.cancel()


async def test_others_have_their_turns_meanwhile() -> None:
    feed = Feed()
    await feed.woken()
    turns = 0

    async def receipts() -> None:
        nonlocal turns
        while True:
            awake = sum(each.is_set() for each in feed.events)
            turns += 0 < awake < MANY
            await asyncio.sleep(0)

    other = asyncio.create_task(receipts())
    feed.change()
    await feed.woken()
    assert turns >= 5
    other.cancel()
    feed.running.cancel()


async def test_without_the_database_they_are_told_all_the_same() -> None:
    """Each looks for itself then, and again a few seconds later."""
    feed = Feed()
    await feed.woken()
    feed.stored.fails = True
    feed.change()
    await feed.woken()
    assert not feed.running.done()
    feed.running.cancel()
