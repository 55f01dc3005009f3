"""A cache in memory, and the interface of caches."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final, Protocol

from breakers.clock import SYSTEM_CLOCK, Clock
from breakers.common.forking import renew_after_fork
from breakers.common.guard import Guard, Nested
from breakers.common.validation import whole

MISS: Final = object()
# Stored for a result of None, which caches use for a miss.
_NONE: Final = "\x00breakers:none"


class Cache(Protocol):
    """The interface of a cache: `get` returns None for a miss, `ttl` is in seconds.

    >>> from breakers import CallOptions, ResilientCaller
    >>> class Forever(dict):
    ...     def set(self, key: str, value: Any, ttl: float) -> None:
    ...         self[key] = value
    >>> caller, options = ResilientCaller(Forever()), CallOptions(timeout=1.0, cache_key="four")
    >>> caller.call(len, options, "four"), caller.call(len, options, "not called")
    (4, 4)
    """

    def get(self, key: str) -> Any: ...

    def set(self, key: str, value: Any, ttl: float) -> Any: ...


def pack(value: Any) -> Any:
    """The form in which a value is stored."""
    return _NONE if value is None else value


def unpack(stored: Any) -> Any:
    """The value that was stored, or `MISS`.

    >>> unpack(pack(None)) is None, unpack(None) is MISS
    (True, True)
    """
    if stored is None:
        return MISS
    return None if isinstance(stored, str) and stored == _NONE else stored


class TTLCache:
    """An LRU cache of `max_entries` values with expiry times.

    >>> cache = TTLCache()
    >>> cache.set("user:7", {"name": "Ada"}, ttl=60)
    >>> cache.get("user:7")
    {'name': 'Ada'}
    """

    def __init__(self, max_entries: int = 10_000, clock: Clock = SYSTEM_CLOCK) -> None:
        self.max_entries = whole("max_entries", max_entries)
        self._clock = clock
        self._entries: OrderedDict[str, tuple[float, Any]] = OrderedDict()
        self._after_fork()
        renew_after_fork(self)

    def _after_fork(self) -> None:
        self._guard = Guard()

    def get(self, key: str) -> Any:
        """The value, or None if it is missing or expired."""
        found = self._guard.run_now(self._get, key)
        return None if isinstance(found, Nested) else found

    def _get(self, key: str) -> Any:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= self._clock.monotonic():
            self._entries.pop(key, None)
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def set(self, key: str, value: Any, ttl: float) -> None:
        """Store `value` for `ttl` seconds."""
        self._guard.run(self._set, key, value, ttl)

    def _set(self, key: str, value: Any, ttl: float) -> None:
        self._entries[key] = (self._clock.monotonic() + ttl, value)
        self._entries.move_to_end(key)
        while len(self._entries) > self.max_entries:
            self._entries.popitem(last=False)

    def __len__(self) -> int:
        return len(self._entries)
