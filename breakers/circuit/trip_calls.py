"""Reads the flight recorder: the last calls, the calls that opened the breaker, a longer log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from math import inf
from typing import Final

from breakers.circuit.admission import Admission, Ticket
from breakers.circuit.recorder import (
    CALL_OUTCOME_NAMES,
    ENTRY,
    MAX_RECORDED_CALLS,
    OUTCOME_CODES,
    RECORDED_CALLS,
)
from breakers.circuit.records import RecordedCall, TrippingCalls
from breakers.common.uninterruptible import uninterruptible

# Trips of one breaker whose calls are kept are at least so far apart.
TRIP_EACH_S: Final = 10.0
_SIGN: Final = 1 << 47


def unpacked(entries: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Start (µs), outcome's code, attempt and latency (µs) of each entry."""
    for low, high, outcome, attempt, latency in ENTRY.iter_unpack(entries):
        at = low | high << 32
        yield (at ^ _SIGN) - _SIGN, outcome, attempt, latency


@uninterruptible
class RecordedBreaker(Admission):
    """An admission whose flight recorder can be read."""

    def _forget_trips(self) -> None:
        if self._records_refusals:  # in a child after fork
            self.stop_recording()
        self._tripping: TrippingCalls | None = None
        self._kept_trip_at = -inf

    def _record(self, ticket: Ticket, now: float, elapsed: float, outcome: str | None) -> None:
        """Record and count one outcome; None is a cancelled call, which says nothing and frees its
        permit."""
        self._record_call(now - elapsed, elapsed, OUTCOME_CODES[outcome])
        self._count_ended(ticket, now, elapsed, outcome)

    def _count_ended(self, ticket: Ticket, now: float, elapsed: float, outcome: str | None) -> None:
        raise NotImplementedError

    def recorded_calls(self) -> list[RecordedCall]:
        """The last 256 calls that ended, oldest first. Calls that were refused are not among them,
        unless the breaker is being recorded."""
        _, entries = self._read_calls(0)
        return [
            RecordedCall(start / 1e6, CALL_OUTCOME_NAMES[outcome], latency / 1e6, attempt)
            for start, outcome, attempt, latency in unpacked(entries)
        ]

    def read_calls(self, since: int = 0) -> tuple[int, bytes]:
        """The entries of the recorder from number `since` on that are still kept, and the number
        of the first of them. For the agent."""
        return self._read_calls(since)

    def recorded_number(self) -> int:
        """The number of the next call that ends."""
        first, entries = self._read_calls(0)
        return first + len(entries) // ENTRY.size

    def start_recording(self, capacity: int = MAX_RECORDED_CALLS) -> None:
        """Keep more calls than the last 256, and those that are refused, until `stop_recording`.

        Raises:
            ValueError: `capacity` is no power of two up to 65,536.
        """
        self._resize_calls(capacity)
        self._records_refusals = True

    def stop_recording(self) -> None:
        """Keep the last 256 calls again."""
        self._records_refusals = False
        self._resize_calls(RECORDED_CALLS)

    def _keep_trip(self, cause: str, now: float, by_hand: bool) -> None:
        """Keep the calls that open the breaker until `take_trip` asks. Inside the guard."""
        if by_hand or now - self._kept_trip_at < TRIP_EACH_S:
            return
        # A process without memory opens its breakers all the same.
        with suppress(MemoryError):
            first, entries = self._read_calls(0)
            latest = entries[-RECORDED_CALLS * ENTRY.size :]
            first += (len(entries) - len(latest)) // ENTRY.size
            self._tripping = TrippingCalls(now, cause, first, latest)
            self._kept_trip_at = now

    def take_trip(self) -> TrippingCalls | None:
        """The calls that opened the breaker at its last trip, once. For the agent."""
        taken, self._tripping = self._tripping, None
        return taken
