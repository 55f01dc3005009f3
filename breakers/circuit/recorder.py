"""The flight recorder of a breaker: its last calls in a ring of fixed size, 12 bytes a call.

`breakers.circuit._admission` writes the same entries in C. Entries are in the order in which calls
ended. Under free-threaded Python an entry that is read while it is written may be a mixture.
"""

from __future__ import annotations

from contextvars import ContextVar
from itertools import count
from struct import Struct
from typing import Final

RECORDED_CALLS: Final = 256
MAX_RECORDED_CALLS: Final = 65_536
SUCCESS: Final = 0
REJECTED: Final = 5
# The codes of entries; None is a cancelled call.
CALL_OUTCOME_NAMES: Final = ("success", "failure", "timeout", "ignored", "cancelled", "rejected")
OUTCOME_CODES: Final[dict[str | None, int]] = {
    "success": SUCCESS,
    "failure": 1,
    "timeout": 2,
    "ignored": 3,
    None: 4,
    "rejected": REJECTED,
}
# Start in microseconds of the breaker's clock (48 bits: low, high), outcome, attempt, latency.
ENTRY: Final = Struct("=IHBBI")
_MOST_S: Final = 1.4e8
_MOST_US: Final = 2**32 - 1


class _Attempt:
    """An attempt after the first that has not ended; `number` is 0 once it has. `outer` is that of
    the call around it, through another breaker."""

    __slots__ = ("breaker", "number", "outer")

    def __init__(self, breaker: int, number: int, outer: _Attempt | None) -> None:
        self.breaker, self.number, self.outer = breaker, number, outer


_attempt: ContextVar[_Attempt | None] = ContextVar("breakers_attempt", default=None)


def _latest_attempt() -> _Attempt | None:
    """The latest of this context that has not ended."""
    noted = _attempt.get()
    while noted is not None and not noted.number:
        noted = noted.outer
    return noted


class Recorder:
    """The ring in plain Python."""

    _records_refusals: bool

    def __init__(self) -> None:
        self._records_refusals = False
        self._noted_attempts = 0
        self._calls = bytearray(RECORDED_CALLS * ENTRY.size)

    def _forget_calls(self) -> None:
        self._call_numbers = count()
        self._oldest_call = 0  # the ring has none from before

    def _record_call(self, start: float, elapsed: float, outcome: int) -> None:
        if not -_MOST_S < start < _MOST_S:
            start = 0.0
        at = int(start * 1e6)
        us = min(_MOST_US, max(0, int(elapsed * 1e6 + 0.5))) if elapsed < 1e4 else _MOST_US
        attempt = self._take_attempt() if self._noted_attempts else 1
        calls = self._calls
        # Atomic: no two calls get the same place.
        place = next(self._call_numbers) * ENTRY.size % len(calls)
        ENTRY.pack_into(calls, place, at & 0xFFFFFFFF, (at >> 32) & 0xFFFF, outcome, attempt, us)

    def _read_calls(self, since: int) -> tuple[int, bytes]:
        """The entries from number `since` on that are still kept, and the number of the first."""
        # The only way to read a count without advancing it.
        n = int(repr(self._call_numbers)[len("count(") : -1])
        calls, size = self._calls, ENTRY.size
        kept = len(calls) // size
        first = min(n, max(since, n - kept, self._oldest_call))
        begin, end = first % kept * size, n % kept * size
        if first == n:
            return n, b""
        data = bytes(calls[begin:end]) if begin < end else bytes(calls[begin:] + calls[:end])
        return first, data

    def _resize_calls(self, capacity: int) -> None:
        """Keep so many calls from here on, a power of two; the latest of those before stay."""
        if not 1 <= capacity <= MAX_RECORDED_CALLS or capacity & (capacity - 1):
            raise ValueError(
                f"a recorder of {capacity} calls; it must be a power of two up to "
                f"{MAX_RECORDED_CALLS}"
            )
        first, data = self._read_calls(0)
        size = ENTRY.size
        calls = bytearray(capacity * size)
        n = len(data) // size
        for at in range(max(0, n - capacity), n):
            place = (first + at) % capacity * size
            calls[place : place + size] = data[at * size : (at + 1) * size]
        self._calls = calls
        self._oldest_call = max(first, first + n - capacity)

    def _is_inside(self) -> bool:
        """Whether this context is inside a call of this breaker."""
        raise NotImplementedError

    def _note_attempt(self, number: int) -> None:
        """The next call in this context is an attempt after the first."""
        if self._is_inside():
            return  # part of the outer call
        outer = _latest_attempt()
        if outer is not None and outer.breaker == id(self):
            outer = outer.outer
        else:
            self._noted_attempts += 1
        _attempt.set(_Attempt(id(self), number, outer))

    def _take_attempt(self) -> int:
        """The number of the attempt that ends in this context."""
        noted = _latest_attempt()
        while noted is not None:
            if noted.breaker == id(self) and noted.number:
                number, noted.number = noted.number, 0
                self._noted_attempts = max(0, self._noted_attempts - 1)
                return min(255, number)
            noted = noted.outer
        return 1
