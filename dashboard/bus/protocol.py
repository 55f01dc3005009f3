"""What travels inside the dashboard, whatever carries it: a log of agents' messages, and topics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

from breakers import wire


class Record(NamedTuple):
    """One agent's message in the log; `offset` grows by one with each."""

    offset: int
    service: str
    message: wire.FromAgent


class Subscription(Protocol):
    """The payloads of one topic from now on. A slow reader loses the oldest, and can tell."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    def take_missed(self) -> int:
        """How many payloads were lost since the last time of asking."""

    def close(self) -> None:
        """Stop, and end the iteration."""


class Bus(Protocol):
    """The log carries reports and acknowledgements up, the topics tell of frames and changes.

    What was appended is safe once its future is done: counted, or certain to be.
    """

    async def append(self, service: str, message: wire.FromAgent) -> asyncio.Future[None]:
        """Put a message in the log; waits while the log is full."""

    async def read(self, limit: int) -> list[Record]:
        """The next messages, at least one. Each is read once."""

    def commit(self, offset: int) -> None:
        """All messages up to this offset are safe."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Tell a topic's subscribers. From any thread; never waits."""

    def subscribe(self, topic: str) -> Subscription:
        """Listen to a topic, from a running event loop."""

    def depth(self) -> int:
        """How many messages are in the log and not yet safe."""

    async def check(self) -> None:
        """Raise where the bus cannot carry anything just now."""
