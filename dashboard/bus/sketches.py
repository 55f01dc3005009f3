"""Sketches of latencies as they travel: each a MessagePack map of bucket to count.

A report of 20 breakers carries 400 buckets. Making dictionaries of them is most of what reading it
costs, and adding them up most of what counting it does. So where there is a compiler both are done
by `_sketches.c`, without dictionaries.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from breakers.circuit.admission import is_current
from dashboard.bus import sketches_plain
from dashboard.bus.sketches_plain import Packed, unpacked

try:
    from dashboard.bus import _sketches

    _IS_THERE = is_current(_sketches.SOURCE, Path(__file__).with_name("_sketches.c"))
except ImportError:
    _IS_THERE = False

COMPILED: Final = _IS_THERE and not os.environ.get("SWITCHGEAR_PURE")
merged = _sketches.merged if COMPILED else sketches_plain.merged


def are_sound(sketches: list[Packed]) -> bool:
    """Whether each is surely a map of buckets to counts, its buckets in ascending order. Plain
    Python is never sure: for it, decoding with every check is no dearer."""
    return COMPILED and all(map(_sketches.is_sound, sketches))


__all__ = ["COMPILED", "Packed", "are_sound", "merged", "unpacked"]
