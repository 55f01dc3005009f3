"""Token buckets by key: a rate and a burst for each service, address or other key."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable


class TokenBuckets:
    """One bucket for each key, which begins full. At most `keys` are remembered; the one that was
    used longest ago is forgotten, which fills it."""

    def __init__(
        self,
        per_s: float,
        burst: float,
        keys: int = 10_000,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.per_s = per_s
        self.burst = burst
        self._keys = keys
        self._now = now
        self._levels: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def level(self, key: Hashable) -> float:
        """Tokens that a key has left; below 0 while it owes some."""
        now = self._now()
        level, at = self._levels.get(key, (self.burst, now))
        return min(self.burst, level + (now - at) * self.per_s)

    def wait_s(self, key: Hashable) -> float:
        """Seconds until a key owes nothing."""
        return max(0.0, -self.level(key) / self.per_s)

    def take(self, key: Hashable, cost: float = 1.0) -> bool:
        """Take `cost` tokens if the key owes none. It may then owe some: a cost above the burst
        passes, and is paid off before the next."""
        level = self.level(key)
        if level <= 0.0:
            return False
        self._levels[key] = (level - cost, self._now())
        self._levels.move_to_end(key)
        if len(self._levels) > self._keys:
            self._levels.popitem(last=False)
        return True
