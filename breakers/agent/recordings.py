"""Recordings on their way to the dashboard: calls that opened a breaker, and calls asked for.

The agent holds each bound itself, whatever the dashboard orders: 600 s an order, an order once,
8 MiB of memory for all the breakers of an order, 4 MiB sent, and few messages an interval. What
does not fit is counted in `lost`.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from breakers.circuit.recorder import ENTRY, MAX_RECORDED_CALLS, RECORDED_CALLS
from breakers.circuit.trip_calls import unpacked
from breakers.protocol import messages as wire
from breakers.protocol.recordings import ASKED, MAX_RECORDING_S, TRIP

if TYPE_CHECKING:
    from breakers.circuit.breaker import CircuitBreaker

MAX_ORDER_BYTES: Final = 4 * 2**20  # of entries; a message takes about as much
MAX_MEMORY_BYTES: Final = 8 * 2**20
MAX_WAITING: Final = 64
# Calls asked for are sent in messages of 4096 calls or of so many seconds.
SENT_EACH_S: Final = 10.0
_AN_INTERVAL: Final = 16
_ORDERS_KEPT: Final = 256
_WHOLE: Final = wire.MAX_RECORDED * ENTRY.size


@dataclass(frozen=True)
class Speaker:
    """Who speaks: the fixed part of every message."""

    service: str
    instance: wire.Instance
    boot: str


@dataclass(slots=True)
class _Recorded:
    """A breaker that is being recorded: the number of the next call to read, and what was read and
    is not in a message yet."""

    breaker: CircuitBreaker
    next: int
    sent_at: float
    read: bytearray = field(default_factory=bytearray)
    lost: int = 0


@dataclass(slots=True)
class _Order:
    id: str
    breaker: str
    start: float
    until: float
    bytes_left: int = MAX_ORDER_BYTES
    recorded: dict[str, _Recorded] = field(default_factory=dict)
    capacity: int = RECORDED_CALLS

    def names(self, name: str) -> bool:
        return self.breaker in (name, wire.EVERY_BREAKER)


class Recordings:
    """Used by the agent's thread alone. `takes` says whether the dashboard takes recordings."""

    def __init__(
        self,
        speaker: Speaker,
        breakers: Callable[[], Iterable[CircuitBreaker]],
        now: Callable[[], float],
        obeys: bool = True,
    ) -> None:
        self._speaker = speaker
        self._breakers = breakers
        self._now = now
        self._obeys = obeys
        self.takes = False
        self._orders: dict[str, _Order] = {}
        # An order that has ended here does not begin again.
        self._ended: OrderedDict[str, None] = OrderedDict()
        # With the moment of each recording's start; the oldest make way at the bound.
        self._waiting: deque[tuple[float, wire.Recording]] = deque()

    def order(self, orders: Iterable[wire.RecordingOrder] | None) -> None:
        """Record what is ordered from now on; an order that is not named has ended."""
        self.takes = orders is not None
        wanted = {each.id: each for each in orders or ()} if self._obeys else {}
        now = self._now()
        for id, order in list(self._orders.items()):
            if id not in wanted:
                self._end(order)
            else:
                order.until = min(order.until, now + wanted[id].expires_in_s)
        for id, each in wanted.items():
            held = {order.breaker for order in self._orders.values()}
            if (
                id in self._orders
                or id in self._ended
                or not held.isdisjoint((each.breaker, wire.EVERY_BREAKER))
            ):
                continue
            until = now + min(each.expires_in_s, MAX_RECORDING_S)
            self._orders[id] = _Order(id, each.breaker, now, until)
        self._begin()

    def collect(self) -> None:
        """Take the calls since the last time out of the breakers."""
        self._begin()
        for order in list(self._orders.values()):
            for recorded in order.recorded.values():
                self._read(order, recorded)
                if self._now() - recorded.sent_at >= SENT_EACH_S:
                    self._seal(order, recorded)
            if self._now() >= order.until or order.bytes_left <= 0:
                self._end(order)
        if self.takes:
            for breaker in self._breakers():
                self._collect_trip(breaker)

    def take(self) -> list[wire.Recording]:
        """The next few messages to send, their age as of now."""
        now = self._now()
        taken: list[wire.Recording] = []
        while self._waiting and len(taken) < _AN_INTERVAL:
            start, recording = self._waiting.popleft()
            taken.append(msgspec.structs.replace(recording, age_s=max(0.0, now - start)))
        return taken

    def _begin(self) -> None:
        """Begin with the breakers that are ordered and not recorded yet."""
        if not self._orders:
            return
        breakers = list(self._breakers())
        for order in self._orders.values():
            named = [each for each in breakers if order.names(each.name)]
            if not order.recorded and named:
                order.capacity = _capacity(len(named))
            for each in named:
                held = any(each.name in other.recorded for other in self._orders.values())
                fits = len(order.recorded) * order.capacity * ENTRY.size < MAX_MEMORY_BYTES
                if not held and fits:
                    each.start_recording(order.capacity)
                    order.recorded[each.name] = _Recorded(each, each.recorded_number(), self._now())

    def _end(self, order: _Order) -> None:
        for recorded in order.recorded.values():
            self._read(order, recorded)
            self._seal(order, recorded)
            recorded.breaker.stop_recording()
        self._orders.pop(order.id, None)
        self._ended[order.id] = None
        if len(self._ended) > _ORDERS_KEPT:
            self._ended.popitem(last=False)

    def _read(self, order: _Order, recorded: _Recorded) -> None:
        first, entries = recorded.breaker.read_calls(recorded.next)
        if first > recorded.next:
            # Messages have no gap inside: what was read before it goes by itself.
            self._seal(order, recorded)
            recorded.lost += first - recorded.next
        recorded.next = first + len(entries) // ENTRY.size
        # Whole calls, so that the bound holds to the byte.
        kept = entries[: max(0, order.bytes_left) // ENTRY.size * ENTRY.size]
        order.bytes_left -= len(entries)
        recorded.read += kept
        while len(recorded.read) >= _WHOLE:
            self._seal(order, recorded)

    def _seal(self, order: _Order, recorded: _Recorded) -> None:
        """Make a message of what was read."""
        piece = bytes(recorded.read[:_WHOLE])
        if not piece:
            return
        recorded.sent_at = self._now()
        message = self._message(recorded.breaker.name, ASKED, order.id, piece, order.start)
        message.first = recorded.next - len(recorded.read) // ENTRY.size
        message.lost = recorded.lost
        del recorded.read[:_WHOLE]
        self._queue(order.start, message)

    def _collect_trip(self, breaker: CircuitBreaker) -> None:
        trip = breaker.take_trip()
        if trip is None:
            return
        number = trip.first + len(trip.entries) // ENTRY.size
        message = self._message(breaker.name, TRIP, f"trip-{number}", trip.entries, trip.at)
        message.first, message.cause = trip.first, trip.cause[:500]
        self._queue(trip.at, message)

    def _queue(self, start: float, message: wire.Recording) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
        self._waiting.append((start, message))

    def _message(
        self, breaker: str, reason: str, id: str, entries: bytes, start: float
    ) -> wire.Recording:
        base = int(start * 1e6)
        calls = list(unpacked(entries))
        return wire.Recording(
            service=self._speaker.service,
            instance=self._speaker.instance.id,
            boot=self._speaker.boot,
            breaker=breaker,
            reason="trip" if reason == TRIP else "asked",
            id=id,
            age_s=0.0,
            offset_us=[at - base for at, _, _, _ in calls],
            outcome=[outcome for _, outcome, _, _ in calls],
            latency_us=[latency for _, _, _, latency in calls],
            attempt=[attempt for _, _, attempt, _ in calls],
        )


def _capacity(breakers: int) -> int:
    """Calls that each of so many breakers keeps between two reports: a power of two."""
    most = MAX_MEMORY_BYTES // ENTRY.size // max(1, breakers)
    capacity = RECORDED_CALLS
    while 2 * capacity <= min(most, MAX_RECORDED_CALLS):
        capacity *= 2
    return capacity
