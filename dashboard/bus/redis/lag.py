"""How far the fleet is behind the log in Redis."""

from __future__ import annotations

from typing import Final

from dashboard.bus.interface import PARTITIONS
from dashboard.bus.redis import keys
from dashboard.bus.redis.connections import AnyRedis

# Milliseconds since the oldest entry that is still there was appended: what is counted is trimmed.
_AGE: Final = """
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not first then return 0 end
local time = redis.call('TIME')
return time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(string.match(first[1], '^%d+'))
"""


async def lag(client: AnyRedis) -> float:
    """Age in seconds of the oldest message that is not committed; 0 where all are.

    Raises:
        RedisError: Redis does not answer.
    """
    async with client.pipeline() as pipe:
        for partition in range(PARTITIONS):
            pipe.execute_command("EVAL", _AGE, 1, keys.log(partition))
        ages: list[int] = await pipe.execute()
    return max(0.0, max(ages) / 1000)
