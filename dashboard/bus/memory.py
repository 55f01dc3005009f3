"""The bus of one process. A message is safe when its reader has committed it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Mapping
from functools import partial
from itertools import islice
from typing import Final

from dashboard.bus import ingest_decoder
from dashboard.bus.interface import (
    ALL,
    PARTITIONS,
    Log,
    LogEntry,
    Shares,
    Subscription,
    partition_of,
)
from dashboard.bus.subscription import QueueSubscription

_BLOCK_S: Final = 1.0


class MemoryBus:
    """See `dashboard.bus.interface.Bus`. The log lives in one event loop, topics in all threads."""

    def __init__(self, capacity: int = 20_000, topic_limit: int = 1000) -> None:
        self._capacity = capacity
        self._topic_limit = topic_limit
        self._position = 0
        self._log: list[deque[tuple[LogEntry, asyncio.Future[None]]]] = [
            deque() for _ in range(PARTITIONS)
        ]
        self._depth = 0
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._topics: dict[str, list[QueueSubscription]] = {}
        self._lock = threading.Lock()

    async def append(self, service: str, message: bytes) -> asyncio.Future[None]:
        while self._depth >= self._capacity:
            self._writable.clear()
            await self._writable.wait()
        self._position += 1
        self._depth += 1
        safe: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        partition = partition_of(service)
        messages = [ingest_decoder.message(message)]
        entry = LogEntry(partition, (self._position, 0), time.time(), messages)
        self._log[partition].append((entry, safe))
        self._readable.set()
        return safe

    def log(self) -> Log:
        return _MemoryLog(self)

    def depth(self) -> int:
        return self._depth

    async def lag(self) -> float:
        oldest = min((each[0][0].at for each in self._log if each), default=None)
        return 0.0 if oldest is None else max(0.0, time.time() - oldest)

    async def check(self) -> None:
        """Memory is always there."""

    async def aclose(self) -> None:
        """Nothing is open."""

    def publish(self, topic: str, payload: bytes) -> None:
        with self._lock:
            listening = tuple(self._topics.get(topic, ()))
        for subscription in listening:
            subscription.deliver(payload)

    def subscribe(self, topic: str) -> Subscription:
        subscription = QueueSubscription(self._topic_limit, partial(self._forget, topic))
        with self._lock:
            self._topics.setdefault(topic, []).append(subscription)
        return subscription

    def _forget(self, topic: str, subscription: QueueSubscription) -> None:
        with self._lock:
            listening = self._topics.get(topic, [])
            if subscription in listening:
                listening.remove(subscription)


class _MemoryLog:
    """The one worker's side: it holds everything for as long as it runs."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self._held: frozenset[int] = frozenset()
        # How many of a partition's uncommitted entries were read.
        self._read: dict[int, int] = {}

    def held(self) -> frozenset[int]:
        return self._held

    async def share(self) -> Shares:
        taken, self._held = ALL - self._held, ALL
        return Shares(taken=taken)

    async def open(self, partitions: frozenset[int]) -> None:
        self._read |= dict.fromkeys(partitions, 0)
        self._bus._readable.set()

    def close(self, partition: int) -> None:
        self._read.pop(partition, None)

    async def release(self, partitions: frozenset[int]) -> None:
        self._held -= partitions

    async def read(self) -> list[LogEntry]:
        found = self._unread()
        if not found:
            self._bus._readable.clear()
            try:
                async with asyncio.timeout(_BLOCK_S):
                    await self._bus._readable.wait()
            except TimeoutError:
                return []
            found = self._unread()
        return found

    def _unread(self) -> list[LogEntry]:
        found: list[LogEntry] = []
        for partition, read in self._read.items():
            unsafe = self._bus._log[partition]
            if len(unsafe) > read:
                found += [entry for entry, _ in islice(unsafe, read, None)]
                self._read[partition] = len(unsafe)
        return found

    async def commit(self, positions: Mapping[int, tuple[int, int]]) -> None:
        for partition, position in positions.items():
            unsafe = self._bus._log[partition]
            while unsafe and unsafe[0][0].position <= position:
                _, safe = unsafe.popleft()
                self._bus._depth -= 1
                if self._read.get(partition):
                    self._read[partition] -= 1
                if not safe.done():
                    safe.set_result(None)
        self._bus._writable.set()

    async def leave(self) -> None:
        self._held = frozenset()
        self._read.clear()
