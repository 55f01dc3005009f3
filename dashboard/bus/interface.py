"""What travels inside the dashboard, whatever carries it: a log of agents' messages, and topics.

The log is partitioned by service. Each partition is read by one fleet worker at a time, which holds
a lease on it; when the lease runs out, another worker takes the partition over and reads again
whatever was not committed.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Final, NamedTuple, Protocol

from breakers.protocol import messages as wire

PARTITIONS: Final = 16
ALL: Final = frozenset(range(PARTITIONS))


def partition_of(service: str) -> int:
    """The partition that carries all messages of a service."""
    return zlib.crc32(service.encode()) % PARTITIONS


class LogEntry(NamedTuple):
    """Messages that were appended together. `position` grows within the partition; `at` is the
    Unix time at which the log took them, on the log's own clock."""

    partition: int
    position: tuple[int, int]
    at: float
    messages: list[wire.FromAgent]


class Shares(NamedTuple):
    """What a round of sharing out has changed for one worker: partitions it has got, those that
    others have or may have by now, and those it should give up to others who have fewer."""

    taken: frozenset[int] = frozenset()
    lost: frozenset[int] = frozenset()
    surplus: frozenset[int] = frozenset()


class Log(Protocol):
    """One fleet worker's side of the log."""

    def held(self) -> frozenset[int]:
        """The partitions whose lease is certain to be ours at this moment."""

    async def share(self) -> Shares:
        """Renew what is held and even it out among the living workers. Call it every second."""

    async def open(self, partitions: frozenset[int]) -> None:
        """Read these from now on, beginning with the oldest entry that was not committed. A worker
        that read them before can read them no more."""

    def close(self, partition: int) -> None:
        """Read this one no more; not even what is under way is handed out."""

    async def release(self, partitions: frozenset[int]) -> None:
        """Let others have these at once."""

    async def read(self) -> list[LogEntry]:
        """The next entries of all open partitions; none after a while without any."""

    async def commit(self, positions: Mapping[int, tuple[int, int]]) -> None:
        """All entries of each partition up to this position are counted: they are safe."""

    async def leave(self) -> None:
        """Give everything back and stop."""


class Subscription(Protocol):
    """The payloads of one topic from now on. A slow reader loses the oldest, and can tell."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    def take_missed(self) -> int:
        """How many payloads were lost since the last time of asking, or at least whether any may
        have been: a connection that was made anew counts as one."""

    def close(self) -> None:
        """Stop, and end the iteration."""


class Bus(Protocol):
    """The log carries reports and acknowledgements up, the topics tell of frames and changes.

    What was appended is safe once its future is done: the fleet has counted it. A future that is
    cancelled instead says that the log may have lost it: the agent must send it again, and all that
    it sent after it.
    """

    async def append(self, service: str, message: bytes) -> asyncio.Future[None]:
        """Put a valid message, as MessagePack, in the log; waits while the log is full."""

    def log(self) -> Log:
        """A new fleet worker's side of the log."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Tell a topic's subscribers. From any thread; never waits."""

    def subscribe(self, topic: str) -> Subscription:
        """Listen to a topic, from a running event loop."""

    def depth(self) -> int:
        """How many messages this process has appended that are not yet safe."""

    async def lag(self) -> float:
        """How old the oldest message is that the fleet has not committed, in seconds; 0 where it
        has committed all."""

    async def check(self) -> None:
        """Raise where the bus cannot carry anything just now."""

    async def aclose(self) -> None:
        """Close every connection."""
