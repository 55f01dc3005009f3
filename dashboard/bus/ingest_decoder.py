"""Decodes messages from the log, which the agents' API has checked already.

Bounds, patterns and lengths cost a third of decoding a report, so they are not checked again. Types
are; those within sketches when they are added up.
"""

from __future__ import annotations

from typing import Final, cast

import msgspec

from breakers.protocol import messages as wire
from dashboard.bus.ingest_structs import StoredReport

_one: Final = msgspec.msgpack.Decoder(StoredReport | wire.Ack).decode
_many: Final = msgspec.msgpack.Decoder(list[StoredReport | wire.Ack]).decode


def message(data: bytes) -> wire.FromAgent:
    """One message.

    Raises:
        msgspec.DecodeError: it is not what the agents' API appends.
    """
    return cast(wire.FromAgent, _one(data))


def messages(entry: bytes) -> list[wire.FromAgent]:
    """The messages of one entry of the log.

    Raises:
        msgspec.DecodeError: they are not what the agents' API appends.
    """
    return cast(list[wire.FromAgent], _many(entry))
