"""What was counted since the last checkpoint, and how it gets stored.

One transaction stores what the partitions brought, or nothing of it; a partition that brought much
more than usual has a transaction of its own, after the others are safe. It is fenced: a partition
that another worker has taken over meanwhile is refused, and forgotten here. What the database
refuses for its content is narrowed down to the service it is about and put aside; anything else is
tried again for as long as it takes, for nothing is safe before it is stored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from channels.db import database_sync_to_async
from django.db import DataError, IntegrityError

from dashboard.fleet import batch_merging as batches
from dashboard.fleet.checkpoint_batch import Batch, CursorKey
from dashboard.fleet.services import Fenced

logger = logging.getLogger("switchgear.fleet")

_RETRY_S: Final = 1.0
_LAST_TRIES: Final = 5
# A partition with more rows is stored by itself, so that the others do not wait for it.
_HEAVY_ROWS: Final = 4_000
# Content that a second try will not change. Whatever else fails may be the database's own trouble.
_OF_THE_CONTENT: Final = (
    DataError,
    IntegrityError,
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
)


class Sink(Protocol):
    """Where checkpoints go."""

    def absorb(self, batches: Sequence[Batch]) -> None:
        """Store some batches in one transaction.

        Raises:
            Fenced: at least one was counted by a worker that has been replaced.
        """

    def put_aside(self, batch: Batch, error: str) -> None:
        """Store what the database refused where it does no harm, and that its reports came."""


class Checkpoints:
    """Batches by partition: one that is being filled, and those that are being stored."""

    def __init__(
        self,
        sink: Sink,
        commit: Callable[[Mapping[int, tuple[int, int]]], Awaitable[None]],
        fenced: Callable[[frozenset[int]], None],
        flush: Callable[[Batch], None] = lambda _: None,
    ) -> None:
        self._sink = sink
        self._flush = flush
        self._commit = commit
        self._fenced = fenced
        self._filling: dict[int, Batch] = {}
        self._storing: list[Batch] = []
        self._groups: list[list[Batch]] = []
        self._write: asyncio.Future[None] | None = None
        self._tries = 0
        self.dead_letters = 0

    def begin(self, partition: int, epoch: int) -> None:
        """Count for a partition from now on, as the worker that was given this epoch."""
        self._filling[partition] = Batch(partition=partition, epoch=epoch)

    def batch(self, partition: int) -> Batch | None:
        """The batch to count into; None for a partition that is not ours."""
        return self._filling.get(partition)

    def unsaved(self) -> set[CursorKey]:
        """The incarnations that have reported something which is not stored yet."""
        batches = (*self._filling.values(), *self._storing)
        return {key for each in batches for key in each.cursors}

    def is_clean(self, partition: int) -> bool:
        """Whether nothing of a partition is left to store."""
        filling = self._filling.get(partition)
        return not filling and all(each.partition != partition for each in self._storing)

    def forget(self, partition: int) -> None:
        """Count for it no more, and drop what was not stored."""
        self._filling.pop(partition, None)
        self._storing = [each for each in self._storing if each.partition != partition]
        self._groups = [
            kept
            for group in self._groups
            if (kept := [each for each in group if each.partition != partition])
        ]

    async def store(self) -> None:
        """Store all there is. Tries until it is stored."""
        while True:
            if await self.store_once():
                return
            await asyncio.sleep(_RETRY_S)

    async def store_last(self) -> None:
        """Store what is left, but do not hold up the end for a database that is gone: what was not
        called safe is sent again, or read again."""
        for _ in range(_LAST_TRIES):
            stored = await self.store_once()
            if stored and not any(self._filling.values()):
                return
            if not stored:
                await asyncio.sleep(_RETRY_S)
        logger.error("the last checkpoint could not be stored; agents will send it again")

    async def store_once(self) -> bool:
        """Store what there is; whether that worked, or there was nothing to store.

        Batches and their write stay here until their end is known. A cancelled write leaves
        them behind for the next call to go on with: a later batch must not be stored, and its
        position committed, over the head of one that may yet fail.
        """
        if not self._storing:
            self._storing = [each for each in self._filling.values() if each]
            if not self._storing:
                return True
            for each in self._storing:
                self._flush(each)
                self.begin(each.partition, each.epoch)
            self._groups = _lightest_first(self._storing)
        while self._groups:
            group = self._groups[0]
            error = await self._try(group)
            if isinstance(error, Fenced):
                logger.warning("%s", error)
                for partition in error.partitions:
                    self.forget(partition)
                self._fenced(error.partitions)
            elif error is None:
                # Some of it may have been fenced and forgotten meanwhile.
                stored = set(map(id, group))
                self._groups = [
                    kept
                    for each in self._groups
                    if (kept := [batch for batch in each if id(batch) not in stored])
                ]
            elif not await self._isolate(error):
                return False
            await self._commit_stored()
        self._tries = 0
        await self._commit_stored()
        return True

    async def _commit_stored(self) -> None:
        """Commit the partitions of which nothing is left to store."""
        left = {batch.partition for group in self._groups for batch in group}
        stored = [each for each in self._storing if each.partition not in left]
        if stored:
            self._storing = [each for each in self._storing if each.partition in left]
            await self._commit({each.partition: each.position for each in stored})

    async def _try(self, group: list[Batch]) -> BaseException | None:
        if self._write is None:
            absorb = database_sync_to_async(self._sink.absorb)
            self._write = asyncio.ensure_future(absorb(group))
        await asyncio.wait({self._write})
        write, self._write = self._write, None
        return write.exception()

    async def _isolate(self, error: BaseException) -> bool:
        """After a failure: whether to go on at once, with less."""
        self._tries += 1
        group = self._groups[0]
        if not isinstance(error, _OF_THE_CONTENT) or self._tries == 1:
            logger.error("a checkpoint could not be stored", exc_info=error)
            return False
        parts = [part for each in group for part in batches.by_service(each)]
        if len(parts) > 1:
            self._groups[:1] = [[part] for part in parts]
            return True
        return await self._put_aside(group[0], error)

    async def _put_aside(self, batch: Batch, error: BaseException) -> bool:
        logger.error("the database refuses what is in a checkpoint; it is put aside: %s", error)
        try:
            await database_sync_to_async(self._sink.put_aside)(batch, repr(error))
        except Exception:
            logger.exception("a checkpoint could not even be put aside")
            return False
        self.dead_letters += 1
        # It may have been fenced and forgotten meanwhile.
        self._groups = [group for group in self._groups if batch not in group]
        return True


def _lightest_first(storing: list[Batch]) -> list[list[Batch]]:
    light = [each for each in storing if each.weight <= _HEAVY_ROWS]
    heavy = sorted((each for each in storing if each.weight > _HEAVY_ROWS), key=_weight)
    return [group for group in (light, *([each] for each in heavy)) if group]


def _weight(batch: Batch) -> int:
    return batch.weight
