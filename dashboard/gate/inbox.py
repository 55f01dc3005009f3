"""What is checked of every message, whichever way it came in."""

import asyncio
from typing import Protocol

from breakers import wire
from breakers.codec import MSGPACK, Codec
from dashboard.gate.refusals import refusal
from dashboard.telemetry import told


class Inbox(Protocol):
    """Where messages go: the decoded one, and the same as MessagePack.

    What was appended is safe once its future is done; if that is cancelled, it must come again.
    Appending raises WireError where there is no room for the instance.
    """

    async def append(
        self, service: str, message: wire.FromAgent, packed: bytes
    ) -> asyncio.Future[None]: ...


def packed(codec: Codec, data: bytes, message: wire.FromAgent) -> bytes:
    """The message as MessagePack: most often the very bytes that it came in."""
    return data if codec is MSGPACK else MSGPACK.encode(message)


def take(codec: Codec, data: bytes, service: str) -> wire.FromAgent:
    """Decode a message of an agent whose token belongs to `service`.

    Raises:
        WireError: it is malformed, or speaks for another service.
    """
    message = codec.from_agent(data)
    if message.service != service:
        raise wire.WireError(
            refusal(
                "forbidden",
                f"the token belongs to {service!r}, not {message.service!r}",
                "$.service",
            )
        )
    if isinstance(message, wire.Report):
        told.reports += 1
        told.updates += len(message.breakers)
    else:
        told.acks += 1
    return message
