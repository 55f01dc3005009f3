"""What happened in a stretch of time, kept as bytes; neighbours can be merged into one.

A slice holds its breakers MessagePack-encoded, so that the outbox knows to the byte what it keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from breakers.protocol import messages as wire

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(list[wire.BreakerReport])


@dataclass(frozen=True, slots=True)
class Slice:
    """What the breakers did from `start` to `end`, both monotonic seconds."""

    start: float
    end: float
    data: bytes

    @property
    def size(self) -> int:
        """Bytes it takes in memory, but for a small constant."""
        return len(self.data) + 200

    @property
    def duration(self) -> float:
        return self.end - self.start

    def breakers(self) -> list[wire.BreakerReport]:
        """The breakers' reports, as fresh objects."""
        return _decoder.decode(self.data)

    @property
    def is_empty(self) -> bool:
        """Whether nothing happened and nothing changed."""
        return self.data == _EMPTY


def pack(start: float, end: float, breakers: Sequence[wire.BreakerReport]) -> Slice:
    """Encode a slice."""
    return Slice(start, end, _encoder.encode(breakers))


_EMPTY: Final = _encoder.encode([])


def merge(first: Slice, second: Slice) -> tuple[Slice, int]:
    """Two neighbours as one, and how many transitions were dropped.

    Counts and histograms add up. State, cause and gauges are the later ones. Of more transitions
    than a report may carry the latest stay.
    """
    if first.is_empty:
        return Slice(first.start, second.end, second.data), 0
    shift = max(0.0, second.end - first.end)
    merged = {each.name: _aged(each, shift) for each in first.breakers()}
    dropped = 0
    for later in second.breakers():
        earlier = merged.get(later.name)
        if earlier is not None:
            dropped += _add(later, earlier)
        merged[later.name] = later
    return pack(first.start, second.end, list(merged.values())), dropped


def _aged(breaker: wire.BreakerReport, shift: float) -> wire.BreakerReport:
    """The same seen from `shift` seconds later."""
    breaker.since_s += shift
    breaker.transitions = [
        msgspec.structs.replace(each, ago_s=each.ago_s + shift) for each in breaker.transitions
    ]
    return breaker


def _add(later: wire.BreakerReport, earlier: wire.BreakerReport) -> int:
    for name in wire.Counts.__struct_fields__:
        if n := getattr(earlier.counts, name):
            setattr(later.counts, name, getattr(later.counts, name) + n)
    buckets = later.histogram.buckets
    for index, n in earlier.histogram.buckets.items():
        buckets[index] = buckets.get(index, 0) + n
    later.histogram.sum_s += earlier.histogram.sum_s
    if later.policy is None:
        later.policy = earlier.policy
    transitions = earlier.transitions + later.transitions
    later.transitions = transitions[-wire.MAX_TRANSITIONS :]
    return len(transitions) - len(later.transitions)


def split(whole: Slice, max_bytes: int) -> list[Slice]:
    """The slice in pieces that each fit in one report. A breaker is never cut in two."""
    breakers = whole.breakers() if whole.size > max_bytes else None
    if breakers is None or len(breakers) < 2:
        return [whole]
    half = len(breakers) // 2
    pieces = (pack(whole.start, whole.end, part) for part in (breakers[:half], breakers[half:]))
    return [small for piece in pieces for small in split(piece, max_bytes)]
