"""Decodes what the gate has already checked, without checking it again: bounds, patterns and
lengths cost a third of decoding a report. Types are still held to, those within sketches when they
are added up."""

from __future__ import annotations

from types import GenericAlias
from typing import Final, cast

import msgspec

from breakers.protocol import messages as wire
from dashboard.bus.ingest_structs import ingest_report

_Report = ingest_report(checked=False)
_one: Final = msgspec.msgpack.Decoder(_Report | wire.Ack).decode
_many: Final = msgspec.msgpack.Decoder(GenericAlias(list, (_Report | wire.Ack,))).decode


def message(data: bytes) -> wire.FromAgent:
    """One message.

    Raises:
        msgspec.DecodeError: it is not what a gate appends.
    """
    return cast(wire.FromAgent, _one(data))


def messages(entry: bytes) -> list[wire.FromAgent]:
    """The messages of one entry of the log.

    Raises:
        msgspec.DecodeError: they are not what a gate appends.
    """
    return cast(list[wire.FromAgent], _many(entry))
