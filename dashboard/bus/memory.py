"""The bus of one process. A message is safe when its reader has committed it."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from functools import partial

from breakers import wire
from dashboard.bus.protocol import Record, Subscription
from dashboard.bus.queue import QueueSubscription


class MemoryBus:
    """See `dashboard.bus.protocol.Bus`. The log lives in one event loop, topics in all threads."""

    def __init__(self, capacity: int = 20_000, topic_limit: int = 1000) -> None:
        self._capacity = capacity
        self._topic_limit = topic_limit
        self._offset = 0
        self._unread: deque[Record] = deque()
        self._unsafe: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._topics: dict[str, list[QueueSubscription]] = {}
        self._lock = threading.Lock()

    async def append(self, service: str, message: wire.FromAgent) -> asyncio.Future[None]:
        while len(self._unsafe) >= self._capacity:
            self._writable.clear()
            await self._writable.wait()
        self._offset += 1
        safe: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unsafe.append((self._offset, safe))
        self._unread.append(Record(self._offset, service, message))
        self._readable.set()
        return safe

    async def read(self, limit: int) -> list[Record]:
        while not self._unread:
            self._readable.clear()
            await self._readable.wait()
        return [self._unread.popleft() for _ in range(min(limit, len(self._unread)))]

    def commit(self, offset: int) -> None:
        while self._unsafe and self._unsafe[0][0] <= offset:
            _, safe = self._unsafe.popleft()
            if not safe.done():
                safe.set_result(None)
        self._writable.set()

    def depth(self) -> int:
        return len(self._unsafe)

    async def check(self) -> None:
        """Memory is always there."""

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
