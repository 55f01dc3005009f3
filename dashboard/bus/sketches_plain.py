"""`dashboard.bus.sketches` in plain Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from breakers.circuit.histogram import HIGHEST, LOWEST
from breakers.protocol import messages as wire

Packed = bytes | msgspec.Raw
_FEW: Final = 3
_BUCKETS: Final = HIGHEST - LOWEST + 1
_decode: Final = msgspec.msgpack.Decoder(dict[wire.BucketIndex, wire.Count]).decode


def unpacked(packed: Packed) -> dict[int, int]:
    """The counts by bucket.

    Raises:
        ValueError: it is not a map of buckets to counts.
    """
    return _decode(packed)


def merged(sketches: list[Packed | Mapping[int, int]]) -> dict[int, int]:
    """The sums by bucket, those above 0, in order.

    Raises:
        ValueError: one is not a map of buckets to counts.
    """
    dicts = [each if isinstance(each, Mapping) else unpacked(each) for each in sketches]
    return _few(dicts) if len(dicts) <= _FEW else _many(dicts)


def _few(sketches: list[Mapping[int, int]]) -> dict[int, int]:
    sums: dict[int, int] = {}
    for each in sketches:
        for index, n in each.items():
            sums[index] = sums.get(index, 0) + n
    return {index: n for index, n in sorted(sums.items()) if n}


def _many(sketches: list[Mapping[int, int]]) -> dict[int, int]:
    # A list counts indices below zero from its end, where the buckets below one second fit.
    dense = [0] * _BUCKETS
    for each in sketches:
        for index, n in each.items():
            dense[index] += n
    below = {at + LOWEST: n for at, n in enumerate(dense[LOWEST:]) if n}
    return below | {at: n for at, n in enumerate(dense[: HIGHEST + 1]) if n}
