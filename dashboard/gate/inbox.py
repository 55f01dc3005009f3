"""What is checked of every message, whichever way it came in."""

import asyncio
from typing import Protocol

from breakers import wire
from breakers.codec import Codec
from dashboard.gate.refusals import refusal


class Inbox(Protocol):
    """Where messages go; what was appended is safe once its future is done."""

    async def append(self, service: str, message: wire.FromAgent) -> asyncio.Future[None]: ...


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
    return message
