"""What was counted since the last checkpoint, and how it gets stored.

One transaction stores what the partitions brought, or nothing of it; a partition that brought much
more than usual has a transaction of its own, after the others are safe or beside them. It is
fenced: a partition that another worker has taken over meanwhile is refused, and forgotten here.
What the database refuses for its content is narrowed down to the service it is about and put aside;
anything else is tried again for as long as it takes, for nothing is safe before it is stored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from dashboard.common.supervision import cancel
from dashboard.fleet.checkpoint_batch import Batch, CursorKey
from dashboard.fleet.storage_lane import HEAVY_ROWS, Commit, Sink, StorageLane

logger = logging.getLogger("switchgear.fleet")

_RETRY_S: Final = 1.0
_LAST_TRIES: Final = 5


class Checkpoints:
    """Batches by partition: one that is being filled, and those that are being stored.

    With `parallel`, a partition that brought much more than usual is stored beside the others, in a
    thread and a transaction of its own: their next checkpoints do not wait for it. Its own next
    batch waits, for what is later must not be stored over the head of what may yet fail.
    """

    def __init__(
        self,
        sink: Sink,
        commit: Commit,
        fenced: Callable[[frozenset[int]], None],
        flush: Callable[[Batch], None] = lambda _: None,
        parallel: bool = False,
    ) -> None:
        self._flush = flush
        self._on_fenced = fenced
        self._filling: dict[int, Batch] = {}
        self._light = StorageLane(sink, commit, self._fenced)
        self._heavy = StorageLane(sink, commit, self._fenced, own_thread=True) if parallel else None
        self._beside: asyncio.Task[None] | None = None

    @property
    def dead_letters(self) -> int:
        """How many batches were put aside."""
        return sum(each.dead_letters for each in self._lanes())

    def _lanes(self) -> list[StorageLane]:
        return [self._light] if self._heavy is None else [self._light, self._heavy]

    def begin(self, partition: int, epoch: int) -> None:
        """Count for a partition from now on, as the worker that was given this epoch."""
        self._filling[partition] = Batch(partition=partition, epoch=epoch)

    def batch(self, partition: int) -> Batch | None:
        """The batch to count into; None for a partition that is not ours."""
        return self._filling.get(partition)

    def _storing(self) -> list[Batch]:
        return [batch for lane in self._lanes() for batch in lane.storing]

    def unsaved(self) -> set[CursorKey]:
        """The incarnations that have reported something which is not stored yet."""
        batches = (*self._filling.values(), *self._storing())
        return {key for each in batches for key in each.cursors}

    def is_clean(self, partition: int) -> bool:
        """Whether nothing of a partition is left to store."""
        filling = self._filling.get(partition)
        return not filling and all(each.partition != partition for each in self._storing())

    def forget(self, partition: int) -> None:
        """Count for it no more, and drop what was not stored."""
        self._filling.pop(partition, None)
        for lane in self._lanes():
            lane.forget(partition)

    def _fenced(self, partitions: frozenset[int]) -> None:
        for partition in partitions:
            self.forget(partition)
        self._on_fenced(partitions)

    async def store(self) -> None:
        """Store all there is. Tries until it is stored, or is being stored beside."""
        while True:
            if await self.store_once():
                return
            await asyncio.sleep(_RETRY_S)

    async def store_last(self) -> None:
        """Store what is left, but do not hold up the end for a database that is gone: what was not
        called safe is sent again, or read again."""
        if self._beside is not None:
            await cancel(self._beside)
        for _ in range(_LAST_TRIES):
            stored = await self.store_once(beside=False)
            if stored and not any(self._filling.values()):
                return
            if not stored:
                await asyncio.sleep(_RETRY_S)
        logger.error("the last checkpoint could not be stored; agents will send it again")

    async def store_once(self, beside: bool = True) -> bool:
        """Store what there is; whether that worked, or there was nothing to store. What is heavy
        is stored beside, or without `beside` here."""
        if not self._light.storing:
            self._take()
        done = await self._light.store()
        if self._heavy is not None and self._heavy.storing:
            if not beside:
                return await self._heavy.store() and done
            if self._beside is None or self._beside.done():
                self._beside = asyncio.create_task(self._store_beside(), name="heavy checkpoint")
        return done

    def _take(self) -> None:
        """Hand what was filled to the lanes. A partition that is being stored beside goes on
        filling."""
        busy = {each.partition for each in self._storing()}
        taken = [each for each in self._filling.values() if each and each.partition not in busy]
        for each in taken:
            self._flush(each)
            self.begin(each.partition, each.epoch)
        if self._heavy is None:
            self._light.add(taken)
            return
        self._light.add([each for each in taken if each.weight <= HEAVY_ROWS])
        self._heavy.add([each for each in taken if each.weight > HEAVY_ROWS])

    async def _store_beside(self) -> None:
        assert self._heavy is not None
        while True:
            if await self._heavy.store():
                return
            await asyncio.sleep(_RETRY_S)
