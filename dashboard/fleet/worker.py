"""Consumes the log, keeps the fleet's state, emits frames, and stores a checkpoint each second.

A checkpoint is one transaction: counts, transitions and the cursors that say up to where they were
counted. Only when it has committed are the messages safe, and only then do agents hear so. Killed
at any moment, the next worker starts from the cursors, and agents send again what was not safe.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec
from channels.db import database_sync_to_async

from dashboard.bus import Bus
from dashboard.fleet.batch import Batch
from dashboard.fleet.services import DESIRED
from dashboard.fleet.state import FleetState
from dashboard.fleet.views import Frame, OverrideInfo

logger = logging.getLogger("switchgear.fleet")

FRAMES = "frames"
WANTED = "frames.wanted"
_READ = 2000
_FULL_EVERY_S = 10.0
_OVERRIDES_EVERY_S = 5.0
_RETRY_S = 1.0
_LAST_TRIES = 5


class Store(Protocol):
    """Where checkpoints go; given by the composition root, since history lies above the fleet."""

    def restore(self, state: FleetState) -> None:
        """Fill the state with what outlived the process before."""

    def absorb(self, batch: Batch) -> None:
        """Store a batch in one transaction."""


class FleetWorker:
    """The one consumer of the log. `run` goes on until it is cancelled, then stores the rest."""

    def __init__(
        self,
        bus: Bus,
        store: Store,
        overrides: Callable[[], Iterable[OverrideInfo]],
        *,
        state: FleetState,
        tick_s: float,
        checkpoint_s: float,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.state = state
        self.last_tick = 0.0
        self._bus = bus
        self._store = store
        self._overrides = overrides
        self._tick_s = tick_s
        self._checkpoint_s = checkpoint_s
        self._wall = wall
        self._batch = Batch()
        self._storing: Batch | None = None
        self._write: asyncio.Future[None] | None = None
        self._refresh = asyncio.Event()

    async def run(self) -> None:
        """Restore, then consume, tick, checkpoint and listen side by side."""
        await database_sync_to_async(self._store.restore)(self.state)
        try:
            async with asyncio.TaskGroup() as tasks:
                for part in (self._consume, self._tick, self._checkpoint, self._listen, self._full):
                    tasks.create_task(self._forever(part), name=f"fleet{part.__name__}")
                tasks.create_task(self._forever(self._refresh_overrides))
        finally:
            await self._last_checkpoint()

    async def _forever(self, part: Callable[[], object]) -> None:
        """A failure of a part is logged and the part begins again: the fleet is still there."""
        while True:
            try:
                await part()  # type: ignore[misc]
            except Exception:
                logger.exception("%s failed; it starts again in a second", part.__name__)
            await asyncio.sleep(1.0)

    async def _consume(self) -> None:
        while True:
            for record in await self._bus.read(_READ):
                self._batch.offset = record.offset
                try:
                    self.state.fold(record.message, self._wall(), self._batch)
                except Exception:
                    logger.exception("a message of %s could not be folded", record.service)
            # A flood of messages must not starve ticks and sockets.
            await asyncio.sleep(0)

    async def _tick(self) -> None:
        while True:
            at = self._wall()
            self.state.advance(at)
            self._emit(self.state.frames(at))
            self.last_tick = time.monotonic()
            await asyncio.sleep(self._tick_s)

    def _emit(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            self._bus.publish(FRAMES, msgspec.json.encode(frame))

    async def _full(self) -> None:
        """Everything, when somebody new asks and now and then: a lost frame heals by itself."""
        wanted = self._bus.subscribe(WANTED)
        asked = wanted.__aiter__()
        try:
            while True:
                self._emit(self.state.full_frames(self._wall()))
                try:
                    async with asyncio.timeout(_FULL_EVERY_S):
                        await anext(asked)
                except TimeoutError:
                    asked = wanted.__aiter__()
        finally:
            wanted.close()

    async def _checkpoint(self) -> None:
        while True:
            await asyncio.sleep(self._checkpoint_s)
            await self.checkpoint()

    async def checkpoint(self) -> None:
        """Store what was counted since the last time, and call it safe. Tries until it is stored:
        nothing is safe before, and agents hold on to it meanwhile."""
        while True:
            if await self._store_once():
                return
            await asyncio.sleep(_RETRY_S)

    async def _store_once(self) -> bool:
        """Store one batch; whether that worked, or there was nothing to store.

        The batch and its write stay on the worker until their end is known. Whoever is cancelled
        here leaves both behind for the next call to go on with: a later batch must not be stored,
        and its offset committed, over the head of one that may yet fail.
        """
        if self._storing is None:
            if not self._batch:
                return True
            self._storing, self._batch = self._batch, Batch()
        if self._write is None:
            absorb = database_sync_to_async(self._store.absorb)
            self._write = asyncio.ensure_future(absorb(self._storing))
        await asyncio.wait({self._write})
        write, self._write = self._write, None
        if (error := write.exception()) is not None:
            logger.error("a checkpoint could not be stored", exc_info=error)
            return False
        self._bus.commit(self._storing.offset)
        self._storing = None
        return True

    async def _last_checkpoint(self) -> None:
        """Store what is left, but do not hold up the end for a database that is gone: what was not
        called safe is sent again, or read again, after the next start."""
        for _ in range(_LAST_TRIES):
            if await self._store_once() and not self._batch:
                return
            if self._storing is not None:
                await asyncio.sleep(_RETRY_S)
        logger.error("the last checkpoint could not be stored; agents will send it again")

    async def _listen(self) -> None:
        changes = self._bus.subscribe(DESIRED)
        try:
            async for _ in changes:
                self._refresh.set()
        finally:
            changes.close()

    async def _refresh_overrides(self) -> None:
        while True:
            self.state.set_overrides(
                await database_sync_to_async(lambda: list(self._overrides()))()
            )
            try:
                async with asyncio.timeout(_OVERRIDES_EVERY_S):
                    await self._refresh.wait()
            except TimeoutError:
                continue
            finally:
                self._refresh.clear()
