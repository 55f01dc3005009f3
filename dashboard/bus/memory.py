"""The bus of one process. A message is safe when its reader has committed it."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator

from breakers import wire
from dashboard.bus.protocol import Record, Subscription


class MemorySubscription:
    """A bounded queue that drops its oldest payload when its reader is too slow."""

    def __init__(self, bus: MemoryBus, topic: str, limit: int) -> None:
        self._bus, self._topic = bus, topic
        self._loop = asyncio.get_running_loop()
        self._payloads: deque[bytes] = deque(maxlen=limit)
        self._wake = asyncio.Event()
        self._missed = 0
        self._closed = False

    def deliver(self, payload: bytes) -> None:
        """Take a payload, from any thread. A loop that has closed listens no more."""
        try:
            self._loop.call_soon_threadsafe(self._put, payload)
        except RuntimeError:
            self._bus.forget(self._topic, self)

    def _put(self, payload: bytes) -> None:
        if len(self._payloads) == self._payloads.maxlen:
            self._missed += 1
        self._payloads.append(payload)
        self._wake.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self._closed:
            while self._payloads:
                yield self._payloads.popleft()
            self._wake.clear()
            if not self._payloads and not self._closed:
                await self._wake.wait()

    def take_missed(self) -> int:
        missed, self._missed = self._missed, 0
        return missed

    def close(self) -> None:
        self._closed = True
        self._wake.set()
        self._bus.forget(self._topic, self)


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
        self._topics: dict[str, list[MemorySubscription]] = {}
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

    def publish(self, topic: str, payload: bytes) -> None:
        with self._lock:
            listening = tuple(self._topics.get(topic, ()))
        for subscription in listening:
            subscription.deliver(payload)

    def subscribe(self, topic: str) -> Subscription:
        subscription = MemorySubscription(self, topic, self._topic_limit)
        with self._lock:
            self._topics.setdefault(topic, []).append(subscription)
        return subscription

    def forget(self, topic: str, subscription: MemorySubscription) -> None:
        """Stop delivering to a subscription."""
        with self._lock:
            listening = self._topics.get(topic, [])
            if subscription in listening:
                listening.remove(subscription)
