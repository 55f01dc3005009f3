"""Partitions shared out among the living workers by leases in Redis.

Each worker says every second that it is alive, and renews its leases. There is no leader: a worker
that holds more than a fair share releases some, one that holds fewer takes what is free. Times are
Redis's; a worker trusts a lease for less than Redis does, by its own monotonic clock, which goes on
while the process is stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from dashboard.bus.interface import PARTITIONS, Shares
from dashboard.bus.redis import keys
from dashboard.bus.redis.connections import AnyRedis

TTL_S: Final = 4.0
_TRUST_S: Final = 3.5

_ALIVE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
return redis.call('ZCARD', KEYS[1])
"""
_RENEW: Final = """
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return holder
"""
_RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class Leases:
    """What one worker holds."""

    def __init__(
        self, client: AnyRedis, worker: str, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._worker = worker
        self._now = now
        self._until: dict[int, float] = {}

    def held(self) -> frozenset[int]:
        """The partitions whose lease is certain to be ours at this moment."""
        now = self._now()
        return frozenset(p for p, until in self._until.items() if until > now)

    async def share(self) -> Shares:
        """Renew, and even out. Raises RedisError where Redis does not answer."""
        ttl_ms = int(TTL_S * 1000)
        trusted_until = self._now() + _TRUST_S
        living: int = await self._client.execute_command(
            "EVAL", _ALIVE, 1, keys.WORKERS, self._worker, ttl_ms
        )
        holders = await self._each(range(PARTITIONS), _RENEW, self._worker, ttl_ms)
        mine = {p for p, holder in holders.items() if holder == self._worker.encode()}
        lost = self._until.keys() - mine
        fair = -(-PARTITIONS // max(1, living))
        free = [p for p, holder in holders.items() if holder is None and p not in lost]
        taken = await self._take(free[: max(0, fair - len(mine))], ttl_ms)
        surplus = sorted(mine)[fair:]
        self._until = dict.fromkeys(mine | taken, trusted_until)
        return Shares(frozenset(taken), frozenset(lost), frozenset(surplus))

    async def _take(self, partitions: Iterable[int], ttl_ms: int) -> set[int]:
        taken = set()
        for partition in partitions:
            if await self._client.set(keys.lease(partition), self._worker, nx=True, px=ttl_ms):
                taken.add(partition)
        return taken

    async def release(self, partitions: frozenset[int]) -> None:
        """Give some back at once."""
        for partition in partitions:
            self._until.pop(partition, None)
        await self._each(partitions, _RELEASE, self._worker)

    async def leave(self) -> None:
        """Give all back, and count among the living no more."""
        await self._client.zrem(keys.WORKERS, self._worker)
        await self.release(frozenset(self._until))

    async def _each(
        self, partitions: Iterable[int], script: str, *arguments: str | int
    ) -> dict[int, Any]:
        """What a script answers for the lease of each partition."""
        partitions = tuple(partitions)
        if not partitions:
            return {}
        async with self._client.pipeline() as pipe:
            for partition in partitions:
                pipe.execute_command("EVAL", script, 1, keys.lease(partition), *arguments)
            return dict(zip(partitions, await pipe.execute(), strict=True))
