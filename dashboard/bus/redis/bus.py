"""The bus of many processes: the log in Redis Streams, topics in its pub/sub.

A message is safe once the fleet has committed it, as in memory. Works on one Redis and on a Redis
Cluster (`redis+cluster://host:port`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Coroutine, Mapping
from functools import cached_property
from typing import Any, Final

import msgspec
import redis
from redis.exceptions import RedisError

from dashboard.bus.interface import Log, Subscription, partition_of
from dashboard.bus.redis import keys
from dashboard.bus.redis.appender import Appender
from dashboard.bus.redis.connections import Line, connect, connect_sync, is_cluster
from dashboard.bus.redis.lag import lag
from dashboard.bus.redis.log import RedisLog
from dashboard.bus.subscription import QueueSubscription

logger = logging.getLogger("switchgear.bus")

_SAFE: Final = "safe"
_RETRY_S: Final = 0.5
_TOGETHER: Final = 64
_positions = msgspec.msgpack.Decoder(dict[int, tuple[int, int]])


class RedisBus:
    """See `dashboard.bus.interface.Bus`. Its asynchronous side belongs to one event loop.

    `capacity` is in bytes for each partition.
    """

    def __init__(self, url: str, capacity: int = 256 * 2**20, topic_limit: int = 1000) -> None:
        self._url = url
        self._client = connect(url)
        self._capacity = capacity
        self._topic_limit = topic_limit
        self._appenders: dict[int, Appender] = {}
        self._following: asyncio.Task[Any] | None = None
        self._unpublished: deque[tuple[str, bytes]] = deque(maxlen=topic_limit)
        self._publishing: asyncio.Task[Any] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    @cached_property
    def _sync(self) -> redis.Redis | redis.RedisCluster:
        return connect_sync(self._url)

    @cached_property
    def _speaker(self) -> Line:
        return Line(self._client, keys.topic(""))

    # -- The log ---------------------------------------------------------------------------------

    async def append(self, service: str, message: bytes) -> asyncio.Future[None]:
        partition = partition_of(service)
        # One connection in order for all; on a cluster, where they differ by node, one for each.
        node = partition if is_cluster(self._url) else 0
        appender = self._appenders.get(node)
        if appender is None:
            line = Line(self._client, keys.log(partition))
            appender = self._appenders[node] = Appender(line, self._capacity)
        if self._following is None:
            self._following = self._spawn(self._follow_commits())
        return await appender.add(partition, message)

    async def _follow_commits(self) -> None:
        announced = self.subscribe(_SAFE)
        try:
            async for payload in announced:
                positions = _positions.decode(payload)
                for appender in self._appenders.values():
                    await appender.counted(positions)
        finally:
            announced.close()

    def log(self) -> Log:
        return RedisLog(self._client, self._announce, is_cluster(self._url))

    def _announce(self, positions: Mapping[int, tuple[int, int]]) -> None:
        if positions:
            self.publish(_SAFE, msgspec.msgpack.encode(positions))

    def depth(self) -> int:
        return sum(each.depth() for each in self._appenders.values())

    async def lag(self) -> float:
        return await lag(self._client)

    async def check(self) -> None:
        await self._client.ping()

    async def aclose(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        for appender in self._appenders.values():
            await appender.aclose()
        await self._speaker.aclose()
        await self._client.aclose()

    # -- Topics ----------------------------------------------------------------------------------

    def publish(self, topic: str, payload: bytes) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            try:
                self._sync.publish(keys.topic(topic), payload)
            except RedisError:
                # Subscribers also look by themselves now and then.
                logger.exception("a message to %s was not published", topic)
        else:
            # One sender in the loop: each publish on a connection of its own could overtake.
            self._unpublished.append((keys.topic(topic), payload))
            if self._publishing is None or self._publishing.done():
                self._publishing = self._spawn(self._publish_all())

    async def _publish_all(self) -> None:
        while self._unpublished:
            some = [
                self._unpublished.popleft() for _ in range(min(_TOGETHER, len(self._unpublished)))
            ]
            await self._speaker.ask([["PUBLISH", topic, payload] for topic, payload in some])

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[Any]:
        async def run() -> None:
            try:
                await work
            except (RedisError, OSError):
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
        """Pass a topic's messages on until closed.

        Each confirmed subscription counts as something missed before it: the client also
        reconnects and subscribes again by itself, which only the confirmation shows.
        """
        while not stop.is_set():
            with contextlib.suppress(RedisError, OSError):
                await self._client.initialize()
                async with self._client.pubsub() as heard:
                    await heard.subscribe(keys.topic(topic))
                    while not stop.is_set():
                        message = await heard.get_message(timeout=0.5)
                        if message is None:
                            continue
                        if message["type"] == "message":
                            to.put(message["data"])
                        elif message["type"] == "subscribe":
                            to.miss()
            if not stop.is_set():
                await asyncio.sleep(_RETRY_S)
