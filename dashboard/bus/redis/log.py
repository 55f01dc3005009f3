"""A fleet worker's side of the log in Redis.

Each worker reads with a consumer group of its own name. Who takes a partition over destroys all
other groups on it and makes its own at the beginning of the stream: what is left there was not
committed, in order, and a worker that was only asleep reads nothing any more. Committing trims the
stream, so nothing is acknowledged entry by entry. This decides who reads; that nothing is stored
twice is seen to in the database (`dashboard.fleet.services`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from redis.exceptions import RedisError, ResponseError

from breakers.protocol import messages as wire
from breakers.protocol.codec import MSGPACK
from dashboard.bus import ingest_decoder
from dashboard.bus.interface import LogEntry, Shares
from dashboard.bus.redis import keys
from dashboard.bus.redis.connections import AnyRedis
from dashboard.bus.redis.leases import Leases

logger = logging.getLogger("switchgear.bus")

Positions = Mapping[int, tuple[int, int]]
_COUNT: Final = 8
_BLOCK_MS: Final = 200
_PAUSE_S: Final = 0.02
_RETRY_S: Final = 0.5
_raw = msgspec.msgpack.Decoder(list[msgspec.Raw])

# Only the holder of the lease may trim. ARGV: worker, first id to keep, bytes before it.
_TRIM: Final = """
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return 0 end
redis.call('XTRIM', KEYS[1], 'MINID', ARGV[2])
local left = redis.call('XLEN', KEYS[1])
local size = tonumber(redis.call('GET', KEYS[2]) or '0') - tonumber(ARGV[3])
if left == 0 or size < 0 then size = 0 end
redis.call('SET', KEYS[2], size)
return 1
"""


class _Reading:
    """What is known of an open partition: where reading is, and what was read and not trimmed."""

    __slots__ = ("is_sure", "position", "sizes")

    def __init__(self) -> None:
        self.position = b"0-0"
        self.is_sure = True
        self.sizes: deque[tuple[tuple[int, int], int]] = deque()


class RedisLog:
    """See `dashboard.bus.interface.Log`."""

    def __init__(
        self, client: AnyRedis, announce: Callable[[Positions], None], one_by_one: bool
    ) -> None:
        self._client = client
        self._announce = announce
        # A cluster reads each partition with a command of its own: their slots differ.
        self._one_by_one = one_by_one
        self.worker = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._group = f"fleet:{self.worker}"
        self._leases = Leases(client, self.worker)
        self._open: dict[int, _Reading] = {}
        self._reads: dict[tuple[int, ...], asyncio.Task[list[LogEntry]]] = {}
        self._committed: dict[int, tuple[int, int]] = {}
        self._freed: dict[int, int] = {}
        self._last_read = 0.0

    # -- Who reads what --------------------------------------------------------------------------

    def held(self) -> frozenset[int]:
        return self._leases.held()

    async def share(self) -> Shares:
        shares = await self._leases.share()
        # Once more, for a web process that was not subscribed the first time.
        self._announce({p: at for p, at in self._committed.items() if p in self.held()})
        await self._trim()
        return shares

    async def open(self, partitions: frozenset[int]) -> None:
        for partition in partitions:
            log = keys.log(partition)
            try:
                await self._client.xgroup_create(log, self._group, id="0", mkstream=True)
            except ResponseError:  # from an earlier time that we held it
                await self._client.xgroup_setid(log, self._group, id="0")
            for group in await self._client.xinfo_groups(log):
                name = group["name"].decode()
                if name != self._group:
                    await self._client.xgroup_destroy(log, name)
            info = await self._client.xinfo_stream(log)
            first = info["first-entry"]
            if first is None:
                self._committed[partition] = keys.position(info["last-generated-id"])
            else:
                # Only commits remove entries: whatever came before the oldest one is counted.
                ms, number = keys.position(first[0])
                self._committed[partition] = (ms, number - 1)
            self._freed.pop(partition, None)
            self._open[partition] = _Reading()
        self._announce({p: self._committed[p] for p in partitions})

    def close(self, partition: int) -> None:
        self._open.pop(partition, None)
        self._committed.pop(partition, None)
        self._freed.pop(partition, None)

    async def release(self, partitions: frozenset[int]) -> None:
        await self._leases.release(partitions)

    async def leave(self) -> None:
        for task in self._reads.values():
            task.cancel()
        with contextlib.suppress(RedisError, OSError):
            await self._trim()
            await self._leases.leave()
        self._open.clear()

    # -- Reading ---------------------------------------------------------------------------------

    async def read(self) -> list[LogEntry]:
        # Many small reads cost more than one that waited a moment.
        await asyncio.sleep(max(0.0, self._last_read + _PAUSE_S - time.monotonic()))
        wanted = [(p,) for p in self._open] if self._one_by_one else [tuple(sorted(self._open))]
        for group in wanted:
            if group and group not in self._reads:
                self._reads[group] = asyncio.create_task(self._read(group))
        if not self._reads:
            await asyncio.sleep(_PAUSE_S)
            return []
        done, _ = await asyncio.wait(self._reads.values(), return_when=asyncio.FIRST_COMPLETED)
        self._last_read = time.monotonic()
        self._reads = {group: task for group, task in self._reads.items() if task not in done}
        return [entry for task in done for entry in task.result()]

    async def _read(self, partitions: tuple[int, ...]) -> list[LogEntry]:
        reading = {p: self._open[p] for p in partitions if p in self._open}
        try:
            for partition, each in reading.items():
                if not each.is_sure:
                    log = keys.log(partition)
                    await self._client.xgroup_setid(log, self._group, id=each.position)
                    each.is_sure = True
            found = await self._client.xreadgroup(
                self._group,
                self.worker,
                {keys.log(p): ">" for p in reading},
                count=_COUNT,
                block=_BLOCK_MS,
                noack=True,
            )
        except (RedisError, OSError, asyncio.CancelledError) as error:
            # What was on its way to us is not handed out again by itself.
            for each in reading.values():
                each.is_sure = False
            if isinstance(error, asyncio.CancelledError):
                raise
            logger.warning("the log cannot be read just now: %s", error)
            await asyncio.sleep(_RETRY_S)
            return []
        return self._entries(reading, found)

    def _entries(self, reading: Mapping[int, _Reading], found: Any) -> list[LogEntry]:
        entries = []
        by_name = {keys.log(partition): partition for partition in reading}
        for name, items in found.items() if isinstance(found, dict) else found:
            partition = by_name[name.decode()]
            each = reading[partition]
            if self._open.get(partition) is not each:
                continue  # closed, and perhaps opened again, since we asked
            for id, fields in items:
                data = fields[b"m"]
                position = keys.position(id)
                each.position = id
                each.sizes.append((position, len(data)))
                messages = _messages(partition, data)
                entries.append(LogEntry(partition, position, position[0] / 1000, messages))
        return entries

    # -- Committing ------------------------------------------------------------------------------

    async def commit(self, positions: Positions) -> None:
        for partition, position in positions.items():
            if (reading := self._open.get(partition)) is None:
                continue
            self._committed[partition] = position
            while reading.sizes and reading.sizes[0][0] <= position:
                _, size = reading.sizes.popleft()
                self._freed[partition] = self._freed.get(partition, 0) + size
        # First this: an entry that is gone from the stream can be announced by nobody else.
        self._announce(positions)
        await self._trim()

    async def _trim(self) -> None:
        """Let go of what is committed; what Redis does not take now is tried again later."""
        freed, self._freed = self._freed, {}
        if not freed:
            return
        try:
            async with self._client.pipeline() as pipe:
                for partition, size in freed.items():
                    ms, number = self._committed[partition]
                    log, lease = keys.log(partition), keys.lease(partition)
                    keep = f"{ms}-{number + 1}"
                    arguments = (log, keys.size(partition), lease, self.worker, keep, size)
                    pipe.execute_command("EVAL", _TRIM, 3, *arguments)
                await pipe.execute()
        except (RedisError, OSError):
            logger.exception("Redis did not take a commit; trying again")
            for partition, size in freed.items():
                if partition in self._open:
                    self._freed[partition] = self._freed.get(partition, 0) + size


def _messages(partition: int, data: bytes) -> list[wire.FromAgent]:
    try:
        return ingest_decoder.messages(data)
    except (msgspec.DecodeError, RecursionError):
        pass
    messages = []
    try:
        for raw in _raw.decode(data):
            try:
                messages.append(MSGPACK.from_agent(bytes(raw)))
            except wire.WireError:
                logger.exception("a message in partition %d cannot be read", partition)
    except msgspec.DecodeError:
        logger.exception("an entry of partition %d cannot be read; it is left out", partition)
    return messages
