"""Checks a message with every check of the codec, at half its cost: without making dictionaries of
the sketches, which the gate has no use for."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from breakers import wire
from dashboard.bus.lean import lean_report
from dashboard.bus.sketches import are_sound

_Report = lean_report(checked=True)
_decode: Final = msgspec.msgpack.Decoder(_Report | wire.Ack).decode


def from_agent(data: bytes) -> wire.FromAgent | None:
    """A message in MessagePack. None where something is wrong with it, or may be: the codec can
    tell."""
    if len(data) > wire.MAX_MESSAGE_BYTES:
        return None
    try:
        message = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if message.v not in wire.VERSIONS:
        return None
    if isinstance(message, wire.Report) and not _is_sound(message.breakers):
        return None
    return cast(wire.FromAgent, message)


def _is_sound(breakers: Any) -> bool:
    """What decoding leaves out. There are texts that are not printable and yet allowed."""
    texts = "".join([each.name for each in breakers] + [each.cause for each in breakers])
    return texts.isprintable() and are_sound([each.histogram.packed for each in breakers])
