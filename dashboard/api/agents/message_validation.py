"""Fast validation of a report: every check of the codec at half its cost.

Latency sketches are checked without making dictionaries of them, and names that were checked before
are recognised instead of matched.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec

from breakers.protocol import messages as wire
from breakers.protocol.codec import MSGPACK
from breakers.protocol.names import is_name
from breakers.protocol.plausibility import check_recording
from dashboard.bus.ingest_structs import CheckedReport
from dashboard.bus.sketches import are_sound

_INGEST: Final = replace(
    MSGPACK, _from_agent=msgspec.msgpack.Decoder(CheckedReport | wire.Ack | wire.Recording)
)
# Type bytes of MessagePack integers of 32 and 64 bits. Without them, no bucket counts 65,536.
_LARGE: Final = (b"\xce", b"\xcf")
_NAMES_KEPT: Final = 100_000
_names: set[str] = set()


def from_agent(data: bytes) -> wire.FromAgent | None:
    """A message in MessagePack. None where something is wrong with it, or may be: then the codec
    finds out what."""
    try:
        message = _INGEST.from_agent(data)
    except wire.WireError:
        return None
    if isinstance(message, wire.Recording):
        check_recording(message)
    if isinstance(message, wire.Report) and not _is_sound(message.breakers):
        return None
    return message


def _is_sound(breakers: Any) -> bool:
    """Check what decoding leaves out. True is certain; False means that the codec has to look."""
    sketches = [each.histogram.packed for each in breakers]
    if not are_sound(sketches):
        return False
    packed = b"".join(sketches)
    if any(each in packed for each in _LARGE):
        return False
    names = {each.name for each in breakers}
    if len(names) != len(breakers) or not _are_names(names):
        return False
    return "".join([each.cause for each in breakers]).isprintable()


def _are_names(names: set[str]) -> bool:
    if names <= _names:
        return True
    if not all(map(is_name, names)):
        return False
    if len(_names) + len(names) > _NAMES_KEPT:
        _names.clear()
    _names.update(names)
    return True
