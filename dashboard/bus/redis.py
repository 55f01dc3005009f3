"""The bus of many processes: the log in Redis Streams, topics in its pub/sub.

A message is safe once Redis has it: appends are answered then, and a fleet worker that dies finds
what it had not committed when it starts again. Keys are hash-tagged by partition, so that each
partition's keys live on one node of a Redis Cluster. How much a crash of Redis itself can take is
its own setting: with `appendfsync everysec`, at most the last second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import zlib
from collections import deque
from typing import Any, Final

import redis
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from breakers import wire
from breakers.codec import MSGPACK
from dashboard.bus.protocol import Record, Subscription
from dashboard.bus.queue import QueueSubscription

logger = logging.getLogger("switchgear.bus")

PARTITIONS: Final = 8
_GROUP: Final = "fleet"
_CONSUMER: Final = "worker"
_BLOCK_MS: Final = 1000
_RETRY_S: Final = 0.5


def _log(partition: int) -> str:
    return f"switchgear:{{{partition}}}:log"


def _topic(topic: str) -> str:
    return f"switchgear:topic:{topic}"


class RedisBus:
    """See `dashboard.bus.protocol.Bus`. Its asynchronous side belongs to one event loop."""

    def __init__(self, url: str, capacity: int = 200_000, topic_limit: int = 1000) -> None:
        self._redis: Redis = Redis.from_url(url, socket_timeout=10, socket_connect_timeout=5)
        # For Django's threads, which have no event loop to await in.
        self._sync = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
        self._capacity = capacity
        self._topic_limit = topic_limit
        self._offset = 0
        self._uncommitted: deque[tuple[int, str, bytes]] = deque()
        self._pending_from: dict[str, Any] | None = None
        self._depths: dict[str, int] = {}
        self._unpublished: deque[tuple[str, bytes]] = deque(maxlen=topic_limit)
        self._publishing: asyncio.Task[Any] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def append(self, service: str, message: wire.FromAgent) -> asyncio.Future[None]:
        log = _log(zlib.crc32(service.encode()) % PARTITIONS)
        while self._depths.get(log, 0) >= self._capacity:
            await asyncio.sleep(_RETRY_S)
            self._depths[log] = await self._redis.xlen(log)
        # Never trimmed here: what nobody has committed must not fall off the other end.
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.xadd(log, {"m": MSGPACK.encode(message)})
            pipe.xlen(log)
            _, self._depths[log] = await pipe.execute()
        safe: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        safe.set_result(None)
        return safe

    async def read(self, limit: int) -> list[Record]:
        if self._pending_from is None:
            await self._join()
        records: list[Record] = []
        while not records:
            assert self._pending_from is not None
            # A worker's first reads bring what the one before had taken and not committed.
            streams: dict[Any, Any] = self._pending_from or {
                _log(n): ">" for n in range(PARTITIONS)
            }
            found = await self._redis.xreadgroup(
                _GROUP, _CONSUMER, streams, count=limit, block=_BLOCK_MS
            )
            records = self._take(found)
        return records

    def _take(self, found: Any) -> list[Record]:
        pending: dict[str, Any] = {}
        records = []
        for name, entries in found:
            log = name.decode()
            for id, fields in entries:
                pending[log] = id
                self._offset += 1
                self._uncommitted.append((self._offset, log, id))
                try:
                    message = MSGPACK.from_agent(fields[b"m"])
                except (wire.WireError, KeyError, TypeError):
                    logger.exception("an entry of %s cannot be read; it is left out", log)
                    continue
                records.append(Record(self._offset, message.service, message))
        if self._pending_from:
            self._pending_from = pending
        return records

    async def _join(self) -> None:
        for n in range(PARTITIONS):
            with contextlib.suppress(ResponseError):  # the group is there already
                await self._redis.xgroup_create(_log(n), _GROUP, id="0", mkstream=True)
        self._pending_from = {_log(n): "0" for n in range(PARTITIONS)}

    def commit(self, offset: int) -> None:
        done: dict[str, list[bytes]] = {}
        while self._uncommitted and self._uncommitted[0][0] <= offset:
            _, log, id = self._uncommitted.popleft()
            done.setdefault(log, []).append(id)
        if done:
            self._spawn(self._settle(done))

    async def _settle(self, done: dict[str, list[bytes]]) -> None:
        """Until Redis has taken it: what stays behind would fill the log, and be read once more."""
        while True:
            try:
                async with self._redis.pipeline(transaction=False) as pipe:
                    for log, ids in done.items():
                        pipe.xack(log, _GROUP, *ids)
                        pipe.xdel(log, *ids)
                    await pipe.execute()
                return
            except RedisError:
                logger.exception("Redis did not take a commit; trying again")
                await asyncio.sleep(_RETRY_S)

    def depth(self) -> int:
        return sum(self._depths.values())

    async def check(self) -> None:
        await self._redis.ping()

    def publish(self, topic: str, payload: bytes) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            try:
                self._sync.publish(_topic(topic), payload)
            except RedisError:
                # Whoever listens also looks by itself now and then.
                logger.exception("a message to %s was not told", topic)
        else:
            # One sender in the loop: each publish on a connection of its own could overtake.
            self._unpublished.append((_topic(topic), payload))
            if self._publishing is None or self._publishing.done():
                self._publishing = self._spawn(self._publish_all())

    async def _publish_all(self) -> None:
        while self._unpublished:
            topic, payload = self._unpublished.popleft()
            await self._redis.publish(topic, payload)

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        async def run() -> None:
            try:
                await work
            except RedisError:
                logger.exception("Redis did not take a message")

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def subscribe(self, topic: str) -> Subscription:
        stop = asyncio.Event()

        def closed(subscription: QueueSubscription) -> None:
            stop.set()

        subscription = QueueSubscription(self._topic_limit, closed)
        self._spawn(self._follow(topic, subscription, stop))
        return subscription

    async def _follow(self, topic: str, to: QueueSubscription, stop: asyncio.Event) -> None:
        """Pass a topic's messages on until closed; a lost connection counts as something missed."""
        while not stop.is_set():
            with contextlib.suppress(RedisError, OSError):
                async with self._redis.pubsub(ignore_subscribe_messages=True) as heard:
                    await heard.subscribe(_topic(topic))
                    while not stop.is_set():
                        message = await heard.get_message(timeout=0.5)
                        if message is not None:
                            to.put(message["data"])
            if not stop.is_set():
                to.miss()
                await asyncio.sleep(_RETRY_S)
