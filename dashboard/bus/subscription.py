"""What a subscriber reads from, whichever driver fills it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class QueueSubscription:
    """A bounded queue in one event loop that drops its oldest payload when its reader is too slow.
    `on_close` is called once with the subscription."""

    def __init__(self, limit: int, on_close: Callable[[QueueSubscription], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_close = on_close
        self._payloads: deque[bytes] = deque(maxlen=limit)
        self._wake = asyncio.Event()
        self._missed = 0
        self._closed = False

    def deliver(self, payload: bytes) -> None:
        """Take a payload, from any thread. A loop that has closed listens no more."""
        if _running_loop() is self._loop:
            # Without waking the loop through its socket, which costs a system call.
            self.put(payload)
            return
        try:
            self._loop.call_soon_threadsafe(self.put, payload)
        except RuntimeError:
            self._on_close(self)

    def put(self, payload: bytes) -> None:
        """Take a payload, in the loop's own thread."""
        if len(self._payloads) == self._payloads.maxlen:
            self._missed += 1
        self._payloads.append(payload)
        self._wake.set()

    def miss(self) -> None:
        """Something may have been lost on the way."""
        self._missed += 1

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
        if not self._closed:
            self._closed = True
            self._wake.set()
            self._on_close(self)
