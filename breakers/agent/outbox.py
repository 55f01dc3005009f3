"""Keeps what the dashboard has not confirmed, within a fixed number of bytes, for hours.

Two parts. *Waiting* slices have no number yet: they may be merged, and are, the older the coarser
(1 s, then 10 s, then 60 s), and further from the oldest on when the bytes run out. *Sealed* ones
have a number and were or may have been sent: they never change and are sent again after each
reconnect, in order, until a `Received` covers them; the dashboard counts each number once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Final

from breakers.agent.slices import Slice, merge, split
from breakers.protocol import messages as wire

# Newest first: how many slices are kept at each coarseness before they are merged into the next.
_TIERS: Final = ((1.0, 30), (10.0, 30), (60.0, 360))
_COARSEST_S: Final = 86_400.0
# A report's frame around its breakers takes some bytes too.
MAX_REPORT_BYTES: Final = wire.MAX_MESSAGE_BYTES * 7 // 8
MAX_SEALED: Final = 256


@dataclass(slots=True)
class Sealed:
    """A slice with its number for ever. `sent_at` is None until it goes out on this connection."""

    seq: int
    slice: Slice
    sent_at: float | None = None


class Outbox:
    """Slices on their way out. Used by the agent's thread alone.

    Memory: `max_bytes` of waiting slices at most, plus what is sealed: at most one message's worth
    (1 MiB) beyond its last slice. At the bound the oldest waiting slices are merged; counts are
    never dropped for lack of space. Only what the merged breakers themselves need (about 3 kB a
    breaker at the worst) can exceed it.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._waiting: deque[Slice] = deque()
        self._sealed: deque[Sealed] = deque()
        self._seq = 0
        self.waiting_bytes = 0
        self.sealed_bytes = 0
        self.merges = 0
        self.transitions_dropped = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._sealed)

    @property
    def has_waiting(self) -> bool:
        """Whether a slice waits for a number."""
        return bool(self._waiting)

    def add(self, fresh: Slice) -> None:
        """Take the newest slice in; an empty one only if none other waits, as a heartbeat."""
        if fresh.is_empty and self._waiting:
            return
        if self._waiting and self._waiting[-1].is_empty:
            self.waiting_bytes -= self._waiting.pop().size
        self._waiting.append(fresh)
        self.waiting_bytes += fresh.size
        self._coarsen()

    # -- Merging ---------------------------------------------------------------------------------

    def _coarsen(self) -> None:
        """Merge what has grown old, then what exceeds the bound."""
        newest = 0
        for (_, keep), (coarser, _) in pairwise(_TIERS):
            newest += keep
            self._merge_older_than(newest, coarser)
        while len(self._waiting) > sum(keep for _, keep in _TIERS):
            self._merge_pair(0)
        while self.waiting_bytes > self._max_bytes and len(self._waiting) > 1:
            self._merge_pair(self._cheapest())

    def _merge_older_than(self, newest: int, coarser: float) -> None:
        """Where more than `newest` slices wait, fold the one that is one too many into its elder,
        while that stays within `coarser` seconds. One in, so one at most is too many."""
        index = len(self._waiting) - newest
        if index < 1:
            return
        elder, younger = self._waiting[index - 1], self._waiting[index]
        if younger.end - elder.start <= coarser:
            self._merge_pair(index - 1)

    def _cheapest(self) -> int:
        """Where two neighbours among the elder half make the shortest slice."""
        spans = [
            (self._waiting[i + 1].end - self._waiting[i].start, i)
            for i in range(max(1, len(self._waiting) // 2))
            if i + 1 < len(self._waiting)
        ]
        return min(spans)[1]

    def _merge_pair(self, index: int) -> None:
        first, second = self._waiting[index], self._waiting[index + 1]
        merged, dropped = merge(first, second)
        if merged.duration > _COARSEST_S:
            merged = Slice(merged.end - _COARSEST_S, merged.end, merged.data)
        self._waiting[index] = merged
        del self._waiting[index + 1]
        self.waiting_bytes += merged.size - first.size - second.size
        self.merges += 1
        self.transitions_dropped += dropped

    # -- Sending ---------------------------------------------------------------------------------

    def rewind(self) -> None:
        """A new connection: everything sealed is to be sent again."""
        for each in self._sealed:
            each.sent_at = None

    def unsent(self, window: int, together_s: float = 0.0) -> Iterator[Sealed]:
        """What may be sent now, in order: what is sealed already, then waiting slices, which get
        their numbers here. At most `window` reports are under way, confirmations that come in
        between taken into account. Waiting slices are merged up to `together_s` seconds each."""
        window = min(window, MAX_SEALED)
        while True:
            under_way = islice(self._sealed, window)
            each = next((each for each in under_way if each.sent_at is None), None)
            if each is not None:
                yield each
            elif (
                not self._waiting
                or len(self._sealed) >= window
                or self.sealed_bytes >= MAX_REPORT_BYTES
            ):
                return
            else:
                while self._is_short(together_s):
                    self._merge_pair(0)
                self._seal()

    def _is_short(self, together_s: float) -> bool:
        """Whether the two oldest waiting slices together are no longer than that."""
        if len(self._waiting) < 2:
            return False
        return self._waiting[1].end - self._waiting[0].start <= together_s

    def _seal(self) -> None:
        oldest = self._waiting.popleft()
        self.waiting_bytes -= oldest.size
        for piece in split(oldest, MAX_REPORT_BYTES):
            self._seq += 1
            self._sealed.append(Sealed(self._seq, piece))
            self.sealed_bytes += piece.size

    def received(self, seq: int) -> int:
        """Forget what is safe, up to `seq`; how many reports that were. Only what was sent counts:
        no confirmation is believed that runs ahead of us."""
        n = 0
        while self._sealed and self._sealed[0].seq <= seq and self._sealed[0].sent_at is not None:
            self.sealed_bytes -= self._sealed.popleft().slice.size
            n += 1
        return n

    def drop(self, seq: int) -> Slice | None:
        """Give up one sealed report, because the dashboard will never take it."""
        for each in self._sealed:
            if each.seq == seq:
                self._sealed.remove(each)
                self.sealed_bytes -= each.slice.size
                return each.slice
        return None

    @property
    def first_seq(self) -> int | None:
        """The oldest number that is not confirmed."""
        return self._sealed[0].seq if self._sealed else None

    def is_last(self, seq: int) -> bool:
        """Whether nothing is to be sent after this report."""
        return seq == self._seq and not self._waiting

    def under_way(self) -> list[Sealed]:
        """What was sent on this connection and is not confirmed, oldest first."""
        return [each for each in self._sealed if each.sent_at is not None]
