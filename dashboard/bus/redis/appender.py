"""Appends to the log in Redis: gathered for a moment, sent together, and awaited until counted.

A message is safe when the fleet has committed it, not when Redis has it: Redis may be restarted
without its data. Its loss shows as a broken connection, for a connection is to one incarnation of
one server. Then every message that is not known to be safe is given up together, later ones too,
and agents send them again in order; none of them may be appended behind the gap, or the sequence
number of the later one would make the earlier one look counted."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec
from redis.exceptions import RedisError

from dashboard.bus.redis import keys
from dashboard.bus.redis.connections import Line

logger = logging.getLogger("switchgear.bus")

_LINGER_S: Final = 0.01
_FULL_S: Final = 0.25
_ENTRY_BYTES: Final = 256 * 1024
# So much is gathered while the round before is on its way. Later messages wait: what is read
# from sockets faster than Redis takes it would only lie about in memory.
_GATHERED_BYTES: Final = 4 * 1024 * 1024
_encode = msgspec.msgpack.Encoder().encode

# All entries of a round or none, so that none overtakes another. ARGV: capacity, entries.
_APPEND: Final = """
local size = tonumber(redis.call('GET', KEYS[2]) or '0')
if size >= tonumber(ARGV[1]) then return false end
local id
for i = 2, #ARGV do
  id = redis.call('XADD', KEYS[1], '*', 'm', ARGV[i])
  size = size + #ARGV[i]
end
redis.call('SET', KEYS[2], size)
return id
"""


class _Round:
    """Messages of one partition that are sent together, and the futures of their writers."""

    __slots__ = ("count", "messages", "position", "safe", "size")

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.count = 0
        self.size = 0
        self.safe: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.position = (0, 0)

    def command(self, partition: int, capacity: int) -> list[str | bytes | int]:
        entries: list[bytes] = []
        part: list[msgspec.Raw] = []
        left = _ENTRY_BYTES
        for message in self.messages:
            if part and len(message) > left:
                entries.append(_encode(part))
                part, left = [], _ENTRY_BYTES
            part.append(msgspec.Raw(message))
            left -= len(message)
        entries.append(_encode(part))
        log, size = keys.log(partition), keys.size(partition)
        return ["EVAL", _APPEND, 2, log, size, capacity, *entries]


class Appender:
    """Appends to the partitions of one node, in order, over one connection."""

    def __init__(self, line: Line, capacity: int) -> None:
        self._line = line
        self._limit_bytes = capacity
        self._pending: dict[int, deque[_Round]] = {}
        self._sent: Collection[_Round] = ()
        self._waiting: dict[int, deque[_Round]] = {}
        self._counted: dict[int, tuple[int, int]] = {}
        self._free: dict[int, asyncio.Event] = {}
        self._gathered = 0
        self._space = asyncio.Event()
        self._space.set()
        self._flushing: asyncio.Task[None] | None = None
        self._failures = 0

    async def add(self, partition: int, message: bytes) -> asyncio.Future[None]:
        """Append a message soon; waits while the partition is full, or too much is gathered."""
        failures = self._failures
        while (obstacle := self._obstacle(partition)) is not None:
            await obstacle.wait()
        if failures != self._failures:
            # What came before it was given up while it waited.
            lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            lost.cancel()
            return lost
        rounds = self._pending.get(partition)
        if rounds is None:
            rounds = self._pending[partition] = deque([_Round()])
            if self._flushing is None:
                self._flushing = asyncio.create_task(self._flush(), name="append")
        round = rounds[-1]
        round.messages.append(message)
        round.count += 1
        round.size += len(message)
        self._gather(self._gathered + len(message))
        return round.safe

    def _obstacle(self, partition: int) -> asyncio.Event | None:
        free = self._free.get(partition)
        if free is None and not self._space.is_set():
            return self._space
        return free

    def _recount(self) -> None:
        """What a full partition holds back must not hold up the others."""
        queues = [queue for at, queue in self._pending.items() if at not in self._free]
        self._gather(sum(round.size for queue in queues for round in queue))

    def _gather(self, size: int) -> None:
        self._gathered = size
        if size < _GATHERED_BYTES:
            self._space.set()
        else:
            self._space.clear()

    async def counted(self, positions: Mapping[int, tuple[int, int]]) -> None:
        """The fleet has committed each partition up to a position."""
        awaited = any(self._waiting.get(partition) for partition in positions)
        if awaited:
            failures = self._failures
            try:
                # Only the server that we appended to may call it counted, not a fresh one.
                await self._line.ask([["PING"]])
            except (RedisError, OSError):
                self._give_up("Redis does not answer")
                return
            if failures != self._failures:
                return
        for partition, position in positions.items():
            self._counted[partition] = max(position, self._counted.get(partition, (0, 0)))
            self._settle(partition)

    def depth(self) -> int:
        """How many messages are not yet safe."""
        return sum(each.count for each in self._unsafe())

    def _unsafe(self) -> list[_Round]:
        queues = (*self._waiting.values(), self._sent, *self._pending.values())
        return [round for queue in queues for round in queue]

    def _settle(self, partition: int) -> None:
        waiting, counted = self._waiting.get(partition), self._counted.get(partition, (0, 0))
        while waiting and waiting[0].position <= counted:
            round = waiting.popleft()
            if not round.safe.done():
                round.safe.set_result(None)

    async def _flush(self) -> None:
        try:
            await asyncio.sleep(_LINGER_S)
            while self._pending:
                rounds = {partition: queue.popleft() for partition, queue in self._pending.items()}
                self._pending = {p: queue for p, queue in self._pending.items() if queue}
                self._sent = rounds.values()
                self._recount()
                try:
                    await self._send(rounds, self._line.incarnation)
                except (RedisError, OSError) as error:
                    self._give_up(f"{type(error).__name__}: {error}")
                self._recount()
                await asyncio.sleep(_FULL_S if self._free else _LINGER_S)
        finally:
            self._flushing = None

    async def _send(self, rounds: dict[int, _Round], incarnation: int) -> None:
        ids: list[Any] = await self._line.ask(
            [each.command(partition, self._limit_bytes) for partition, each in rounds.items()],
            incarnation,
        )
        self._sent = ()
        for (partition, round), id in zip(rounds.items(), ids, strict=True):
            if id is None:
                self._put_back(partition, round)
                continue
            if (free := self._free.pop(partition, None)) is not None:
                free.set()
            round.position = keys.position(id)
            round.messages = []  # Redis has them, and so have the agents
            self._waiting.setdefault(partition, deque()).append(round)
            self._settle(partition)

    def _put_back(self, partition: int, refused: _Round) -> None:
        """The partition is full: keep the round for the next try, and take no more meanwhile."""
        self._pending.setdefault(partition, deque()).appendleft(refused)
        if partition not in self._free:
            self._free[partition] = asyncio.Event()
            logger.warning("partition %d of the log is full; agents wait", partition)

    def _give_up(self, why: str) -> None:
        self._failures += 1
        rounds = self._unsafe()
        self._waiting, self._sent, self._pending = {}, (), {}
        for free in self._free.values():
            free.set()
        self._free = {}
        self._recount()
        unsafe = sum(each.count for each in rounds)
        logger.error("%s; agents must send %d messages again", why, unsafe)
        for each in rounds:
            each.safe.cancel()

    async def aclose(self) -> None:
        """Disconnect; what is not safe is given up."""
        if self._flushing is not None:
            self._flushing.cancel()
        for round in self._unsafe():
            round.safe.cancel()
        await self._line.aclose()
