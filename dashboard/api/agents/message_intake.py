"""Checks that every message passes, over a socket or over HTTP."""

import asyncio
from typing import Protocol

from breakers.protocol import messages as wire
from breakers.protocol.codec import MSGPACK, Codec
from breakers.protocol.plausibility import check_recording, check_report
from dashboard.access.service_tokens import Grant
from dashboard.api.agents import message_validation
from dashboard.api.agents.error_replies import refusal
from dashboard.bus.sketches import COMPILED
from dashboard.observability.metrics import counters


class Inbox(Protocol):
    """Takes messages: the decoded one, and the same as MessagePack.

    What was appended is safe once its future is done; if that is cancelled, it must be sent again.
    Appending raises WireError where the service has no capacity for the instance.
    """

    async def admit(self, service: str, size: int) -> None: ...

    async def append(
        self, service: str, message: wire.FromAgent, packed: bytes
    ) -> asyncio.Future[None]: ...


def take(codec: Codec, data: bytes, grant: Grant) -> tuple[wire.FromAgent, bytes]:
    """A message of an agent with a token, and the same as MessagePack: most often the very bytes
    that it came in.

    Raises:
        WireError: it is malformed, implausible, or of a service or an instance that the token does
            not stand for.
    """
    message = message_validation.from_agent(data) if COMPILED and codec is MSGPACK else None
    if message is None:
        message = codec.from_agent(data)
        if isinstance(message, wire.Report):
            check_report(message)
        elif isinstance(message, wire.Recording):
            check_recording(message)
        data = data if codec is MSGPACK and not COMPILED else MSGPACK.encode(message)
    if message.service != grant.service:
        raise wire.WireError(
            refusal(
                "forbidden",
                f"the token belongs to {grant.service!r}, not {message.service!r}",
                "$.service",
            )
        )
    if grant.instances:
        _check_instance(message, grant)
    if isinstance(message, wire.Report):
        counters.reports += 1
        counters.updates += len(message.breakers)
    elif isinstance(message, wire.Ack):
        counters.acks += 1
    return message, data


def _check_instance(message: wire.FromAgent, grant: Grant) -> None:
    is_report = isinstance(message, wire.Report)
    id = message.instance.id if isinstance(message, wire.Report) else message.instance
    if not grant.covers(id):
        only = ", ".join(grant.instances)
        raise wire.WireError(
            refusal(
                "forbidden",
                f"the token is for the instances {only} of {grant.service!r}, not for {id!r}",
                "$.instance.id" if is_report else "$.instance",
            )
        )
