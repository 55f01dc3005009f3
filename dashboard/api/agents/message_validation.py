"""Checks a message with every check of the codec, at half its cost: without making dictionaries of
the sketches, which the gate has no use for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec

from breakers.protocol import messages as wire
from breakers.protocol.codec import MSGPACK
from dashboard.bus.ingest_structs import ingest_report
from dashboard.bus.sketches import are_sound

_INGEST: Final = replace(
    MSGPACK, _from_agent=msgspec.msgpack.Decoder(ingest_report(checked=True) | wire.Ack)
)


def from_agent(data: bytes) -> wire.FromAgent | None:
    """A message in MessagePack. None where something is wrong with it, or may be: the codec can
    tell."""
    try:
        message = _INGEST.from_agent(data)
    except wire.WireError:
        return None
    if isinstance(message, wire.Report) and not _is_sound(message.breakers):
        return None
    return message


def _is_sound(breakers: Any) -> bool:
    """What decoding leaves out. There are texts that are not printable and yet allowed."""
    texts = "".join([each.name for each in breakers] + [each.cause for each in breakers])
    return texts.isprintable() and are_sound([each.histogram.packed for each in breakers])
