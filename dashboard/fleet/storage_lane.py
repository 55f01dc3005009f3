"""Stores batches, group by group: what one lane of checkpoints has taken."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from channels.db import database_sync_to_async
from django.db import DataError, IntegrityError

from dashboard.fleet import batch_merging as batches
from dashboard.fleet.checkpoint_batch import Batch
from dashboard.fleet.services import Fenced

logger = logging.getLogger("switchgear.fleet")

# A partition with more rows is stored by itself, so that the others do not wait for it.
HEAVY_ROWS: Final = 4_000
# Content that a second try will not change. Whatever else fails may be the database's own trouble.
_OF_THE_CONTENT: Final = (
    DataError,
    IntegrityError,
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
)


Commit = Callable[[Mapping[int, tuple[int, int]]], Awaitable[None]]


class Sink(Protocol):
    """Where checkpoints go."""

    def absorb(self, batches: Sequence[Batch]) -> None:
        """Store some batches in one transaction.

        Raises:
            Fenced: at least one was counted by a worker that has been replaced.
        """

    def put_aside(self, batch: Batch, error: str) -> None:
        """Store what the database refused where it does no harm, and that its reports came."""


class StorageLane:
    """Batches that are being stored. They and their write stay here until their end is known: a
    cancelled write leaves them behind for the next call to go on with.

    `own_thread` uses a thread, and with it a connection, of its own.
    """

    def __init__(
        self,
        sink: Sink,
        commit: Commit,
        fenced: Callable[[frozenset[int]], None],
        own_thread: bool = False,
    ) -> None:
        self.storing: list[Batch] = []
        self.dead_letters = 0
        self._sink = sink
        self._commit = commit
        self._fenced = fenced
        self._shares_thread = not own_thread
        self._groups: list[list[Batch]] = []
        self._write: asyncio.Future[None] | None = None
        self._tries = 0

    def add(self, taken: list[Batch]) -> None:
        """Store these too, the lightest first."""
        self.storing += taken
        self._groups += _lightest_first(taken)

    def forget(self, partition: int) -> None:
        """Drop what was not stored of a partition."""
        self.storing = [each for each in self.storing if each.partition != partition]
        self._groups = [
            kept
            for group in self._groups
            if (kept := [each for each in group if each.partition != partition])
        ]

    async def store(self) -> bool:
        """Store what there is; whether that worked, or there was nothing to store."""
        while self._groups:
            group = self._groups[0]
            error = await self._try(group)
            if isinstance(error, Fenced):
                logger.warning("%s", error)
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
        stored = [each for each in self.storing if each.partition not in left]
        if stored:
            self.storing = [each for each in self.storing if each.partition in left]
            await self._commit({each.partition: each.position for each in stored})

    async def _try(self, group: list[Batch]) -> BaseException | None:
        if self._write is None:
            absorb = database_sync_to_async(self._sink.absorb, thread_sensitive=self._shares_thread)
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
            await database_sync_to_async(
                self._sink.put_aside, thread_sensitive=self._shares_thread
            )(batch, repr(error))
        except Exception:
            logger.exception("a checkpoint could not even be put aside")
            return False
        self.dead_letters += 1
        # It may have been fenced and forgotten meanwhile.
        self._groups = [group for group in self._groups if batch not in group]
        return True


def _lightest_first(storing: list[Batch]) -> list[list[Batch]]:
    light = [each for each in storing if each.weight <= HEAVY_ROWS]
    heavy = sorted((each for each in storing if each.weight > HEAVY_ROWS), key=_weight)
    return [group for group in (light, *([each] for each in heavy)) if group]


def _weight(batch: Batch) -> int:
    return batch.weight
