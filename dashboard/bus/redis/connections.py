"""Connections to one Redis or to a Redis Cluster, as the address says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import redis
import redis.asyncio
from redis.asyncio.connection import AbstractConnection
from redis.backoff import NoBackoff
from redis.exceptions import ClusterDownError, ConnectionError, ResponseError
from redis.retry import Retry

_CLUSTER: Final = ("redis+cluster://", "rediss+cluster://")
AnyRedis = redis.asyncio.Redis | redis.asyncio.RedisCluster
Command = Sequence[str | bytes | int]


def is_cluster(url: str) -> bool:
    """Whether the address, `redis+cluster://host:port`, names a node of a cluster."""
    return url.startswith(_CLUSTER)


def connect(url: str) -> AnyRedis:
    """A client for the event loop. It connects at its first command."""
    made: AnyRedis
    if is_cluster(url):
        made = redis.asyncio.RedisCluster.from_url(
            _single_node_url(url), socket_timeout=10, socket_connect_timeout=5
        )
    else:
        made = redis.asyncio.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=5)
    return made


def connect_sync(url: str) -> redis.Redis | redis.RedisCluster:
    """A client for threads, which have no event loop to await in. A cluster is asked for its nodes
    at once."""
    if is_cluster(url):
        return redis.RedisCluster.from_url(
            _single_node_url(url), socket_timeout=2, socket_connect_timeout=2
        )
    return redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)


def _single_node_url(url: str) -> str:
    return url.replace("+cluster", "", 1)


class Line:
    """A connection of one's own to the node of `key`, for many commands at once.

    It is never replaced in silence: as long as no `ask` has failed, one and the same server has
    answered them all. After a failure the next `ask` makes a new connection. `incarnation` numbers
    them.
    """

    def __init__(self, client: AnyRedis, key: str) -> None:
        self._client = client
        self._key = key
        self._connection: AbstractConnection | None = None
        self._lock = asyncio.Lock()
        self.incarnation = 0

    async def ask(self, commands: Sequence[Command], incarnation: int | None = None) -> list[Any]:
        """The replies to some commands sent together; only over the connection numbered
        `incarnation`, if that is given: another `ask` may fail while this one waits for its turn.

        Raises:
            RedisError, OSError: the connection failed, or a command did. Whether the commands were
                carried out is not known.
        """
        async with self._lock:
            if incarnation is not None and incarnation != self.incarnation:
                raise ConnectionError("the connection to Redis was lost meanwhile")
            if self._connection is None:
                self._connection = await self._connect()
            connection = self._connection
            try:
                if not connection.is_connected:
                    raise ConnectionError("the connection to Redis is gone")
                packed = connection.pack_commands(commands)
                await connection.send_packed_command(packed, check_health=False)
                replies = [await self._reply(connection) for _ in commands]
            except BaseException:
                await self._drop()
                raise
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    async def _reply(self, connection: AbstractConnection) -> Any:
        try:
            return await connection.read_response()
        except ResponseError as error:
            return error

    async def _connect(self) -> AbstractConnection:
        made: type[AbstractConnection]
        kwargs: dict[str, Any]
        if isinstance(self._client, redis.asyncio.RedisCluster):
            await self._client.initialize()
            node = self._client.get_node_from_key(self._key)
            if node is None:
                raise ClusterDownError(f"no node has the slot of {self._key}")
            made, kwargs = node.connection_class, node.connection_kwargs
        else:
            pool = self._client.connection_pool
            made, kwargs = pool.connection_class, pool.connection_kwargs
        connection = made(**{**kwargs, "retry": Retry(NoBackoff(), 0)})
        await connection.connect()  # type: ignore[no-untyped-call]
        return connection

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self.incarnation += 1
        if connection is not None:
            await connection.disconnect(nowait=True)
        if isinstance(self._client, redis.asyncio.RedisCluster):
            # The slot may have moved: look at the map of slots again before the next try.
            await self._client.aclose()

    async def aclose(self) -> None:
        """Disconnect."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)
