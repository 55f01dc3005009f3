"""Consumes its share of the log, keeps the fleet's state, emits frames, and stores a checkpoint
each second.

A checkpoint is one transaction: counts, transitions and the cursors that say up to where they were
counted. Only when it has committed are the messages safe, and only then do agents hear so. Killed
at any moment, the worker that takes its partitions over starts from the cursors and reads again
what was not committed.

A partition comes and goes in steps: taken (the lease is ours) → fenced off and restored from the
database → open; then lost or surplus → leaving: read no more, stored a last time, forgotten, and
given back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec
from channels.db import database_sync_to_async

from dashboard.bus import Bus
from dashboard.fleet import retention
from dashboard.fleet.checkpoint_batch import CursorKey
from dashboard.fleet.checkpoints import Checkpoints
from dashboard.fleet.frame_types import Frame, LastTransition, OverrideInfo
from dashboard.fleet.frames import as_text
from dashboard.fleet.outages import OutageRow
from dashboard.fleet.quorum import QuorumEnd, QuorumTrip, RuleOf
from dashboard.fleet.sequence_gaps import Gaps
from dashboard.fleet.services import DESIRED
from dashboard.fleet.state import FleetState
from dashboard.fleet.storage_lane import Sink
from dashboard.observability.metrics import counters

logger = logging.getLogger("switchgear.fleet")

FRAMES: Final = "frames"
WANTED: Final = "frames.wanted"
_SHARE_EVERY_S: Final = 1.0
_FULL_EVERY_S: Final = 10.0
_OVERRIDES_EVERY_S: Final = 5.0
# One breaker, at most: what was done shows in the next overrides.
_QUORUM_EVERY_S: Final = 1.0
_SWEEP_EVERY_S: Final = 3600.0


class Inherited(NamedTuple):
    """What is stored of partitions taken over, and their new epochs."""

    epochs: dict[int, int]
    services: list[str]
    cursors: dict[CursorKey, int]
    gaps: dict[CursorKey, Gaps]
    last: dict[tuple[str, str], LastTransition]
    outages: Sequence[OutageRow] = ()


class Store(Sink, Protocol):
    """Where checkpoints go; given by the composition root, since history lies above the fleet."""

    def inherit(self, partitions: frozenset[int]) -> Inherited:
        """Fence off the worker before, and read what is stored of these partitions."""

    def still_reported(self, breakers: Mapping[str, Collection[str]]) -> Collection[CursorKey]:
        """Remember these breakers of each service; returns the incarnations that are stored."""


class Quorums(Protocol):
    """Quorum rules and what they do; given by the composition root."""

    def rules(self) -> RuleOf | None:
        """The rules as they are stored now; None where none is switched on."""

    def act(self, due: QuorumTrip | QuorumEnd) -> object:
        """Trip or end a quorum. Safe to repeat."""


class FleetWorker:
    """One of any number of consumers of the log. `run` goes on until it is cancelled, then stores
    the rest and gives its partitions back."""

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
        watched: Callable[[], frozenset[tuple[str, str]]] = frozenset,
        quorums: Quorums | None = None,
        parallel: bool = False,
        forgotten: Callable[[], Mapping[tuple[str, str], float]] = dict,
    ) -> None:
        self._forgotten = forgotten
        self._quorums = quorums
        self._rule_of: RuleOf | None = None
        self._acted: dict[tuple[str, str], float] = {}
        self._watched = watched
        self.state = state
        self.last_tick = 0.0
        self.lag_s = 0.0
        self._bus = bus
        self._log = bus.log()
        self._store = store
        self._overrides = overrides
        self._tick_s = tick_s
        self._checkpoint_s = checkpoint_s
        self._wall = wall
        self.checkpoints = Checkpoints(store, self._log.commit, self._forget, state.flush, parallel)
        self._open: frozenset[int] = frozenset()
        self._leaving: frozenset[int] = frozenset()
        self._full_from: dict[int, float] = {}
        self._refresh = asyncio.Event()

    async def run(self) -> None:
        """Share, consume, tick, checkpoint and listen side by side."""
        parts = (self._share, self._consume, self._tick, self._checkpoint, self._listen)
        running = {
            asyncio.create_task(self._forever(part), name=f"fleet{part.__name__}")
            for part in (*parts, self._full, self._refresh_overrides, self._quorum, self._sweep)
        }
        try:
            await asyncio.wait(running)
        finally:
            # Once may not do: `asyncio.wait_for`, which redis-py uses, can swallow a cancellation.
            while running:
                for each in running:
                    each.cancel()
                _, running = await asyncio.wait(running, timeout=1.0)
            await self.checkpoints.store_last()
            await self._log.leave()

    async def _forever(self, part: Callable[[], Any]) -> None:
        """A failure of a part is logged and the part begins again: the fleet is still there."""
        while True:
            try:
                await part()
            except Exception:
                logger.exception("%s failed; it starts again in a second", part.__name__)
            await asyncio.sleep(1.0)

    # -- Whose partitions ------------------------------------------------------------------------

    async def _share(self) -> None:
        while True:
            await self.share()
            await asyncio.sleep(_SHARE_EVERY_S)

    async def share(self) -> None:
        """One round: leave what is no longer ours, take over what has become ours."""
        shares = await self._log.share()
        for partition in (shares.lost | shares.surplus) & self._open:
            self._log.close(partition)
            self._leaving |= {partition}
        gone = {each for each in self._leaving if self.checkpoints.is_clean(each)}
        for partition in gone:
            self.checkpoints.forget(partition)
            self._forget(frozenset({partition}))
        await self._log.release(frozenset(gone) & self._log.held())
        taken = self._log.held() - self._open
        if taken:
            await self._take_over(taken)

    async def _take_over(self, partitions: frozenset[int]) -> None:
        inherited = await database_sync_to_async(self._store.inherit)(partitions)
        now = self._wall()
        self.state.restore(
            inherited.services,
            inherited.cursors,
            inherited.last,
            now,
            inherited.gaps,
            inherited.outages,
        )
        for partition, epoch in inherited.epochs.items():
            self.checkpoints.begin(partition, epoch)
            self._full_from[partition] = now + self.state.silent_after_s
        self._open |= partitions
        try:
            await self._log.open(partitions)
        except BaseException:
            self._forget(partitions)
            raise
        logger.info("this worker has taken over partitions %s", sorted(partitions))

    def _forget(self, partitions: frozenset[int]) -> None:
        for partition in partitions:
            self._log.close(partition)
            self.checkpoints.forget(partition)
        self._open -= partitions
        self._leaving -= partitions
        self.state.release(partitions)

    def _shown(self) -> frozenset[int]:
        """The partitions that nobody else can be telling of."""
        return (self._open - self._leaving) & self._log.held()

    # -- Reports in ------------------------------------------------------------------------------

    async def _consume(self) -> None:
        while True:
            entries = await self._log.read()
            if not entries:
                self.lag_s = 0.0
            for entry in entries:
                batch = self.checkpoints.batch(entry.partition)
                if batch is None:
                    continue
                # Two machines' clocks differ; what has arrived is never of the future.
                at = min(entry.at, now := self._wall())
                self.lag_s = now - at
                batch.position = entry.position
                began = time.perf_counter()
                for message in entry.messages:
                    try:
                        self.state.fold(message, at, batch)
                    except Exception:
                        logger.exception("a message of %s could not be applied", message.service)
                counters.applied += len(entry.messages)
                counters.apply_s += time.perf_counter() - began
                # A flood of messages must not starve ticks and sockets.
                await asyncio.sleep(0)

    # -- Frames out ------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            at = self._wall()
            self.state.advance(at, at - self.lag_s)
            self._emit(self.state.frames(at, self._shown()))
            self.last_tick = time.monotonic()
            await asyncio.sleep(self._tick_s)

    def _emit(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            counters.frames_emitted += 1
            self._bus.publish(FRAMES, msgspec.json.encode(frame))

    async def _full(self) -> None:
        """Everything, when somebody new asks and now and then: a lost frame heals by itself."""
        wanted = self._bus.subscribe(WANTED)
        asked = wanted.__aiter__()
        try:
            while True:
                self._emit(self.state.full_frames(self._wall(), self._fully_known(), as_text))
                try:
                    async with asyncio.timeout(_FULL_EVERY_S):
                        await anext(asked)
                except TimeoutError:
                    asked = wanted.__aiter__()
        finally:
            wanted.close()

    def _fully_known(self) -> frozenset[int]:
        """What is shown but for partitions just taken over, whose instances have not all reported:
        a full frame would make pages forget the others."""
        now = self._wall()
        return frozenset(each for each in self._shown() if self._full_from[each] <= now)

    # -- Checkpoints -----------------------------------------------------------------------------

    async def _checkpoint(self) -> None:
        while True:
            await asyncio.sleep(self._checkpoint_s)
            await self.checkpoints.store()

    # -- Overrides -------------------------------------------------------------------------------

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
            self.state.watch(await database_sync_to_async(self._watched)())
            self.state.forget_instances(await database_sync_to_async(self._forgotten)())
            if self._quorums is not None:
                self._rule_of = await database_sync_to_async(self._quorums.rules)()
            try:
                async with asyncio.timeout(_OVERRIDES_EVERY_S):
                    await self._refresh.wait()
            except TimeoutError:
                continue
            finally:
                self._refresh.clear()

    # -- Rules of the fleet ----------------------------------------------------------------------

    async def _quorum(self) -> None:
        while True:
            await asyncio.sleep(self._tick_s)
            await self.apply_quorums()

    async def apply_quorums(self) -> None:
        """Do what the quorum rules ask for now, where every instance has been heard."""
        if self._quorums is None or self._rule_of is None:
            return
        now = self._wall()
        due = self.state.quorums_due(self._rule_of, now, self._fully_known())
        self._acted = {key: at for key, at in self._acted.items() if now - at < _QUORUM_EVERY_S}
        for each in due:
            if (key := (each.service, each.breaker)) not in self._acted:
                self._acted[key] = now
                await database_sync_to_async(self._quorums.act)(each)

    # -- What is long gone -----------------------------------------------------------------------

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_EVERY_S)
            await self.sweep()

    async def sweep(self) -> None:
        """Forget what the database has forgotten, and tell it which breakers are still there."""
        watched = self.state.watched(self._shown())
        # What is not stored yet is not forgotten.
        incarnations = retention.incarnations(watched) - self.checkpoints.unsaved()
        store = database_sync_to_async(self._store.still_reported)
        stored = await store(retention.reported(watched))
        gone = incarnations - set(stored) - self.checkpoints.unsaved()
        retention.forget(self.state.services, gone, self._wall())
