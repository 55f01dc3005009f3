"""The agents' door as one ASGI application. No Django request passes through it: what is wrapped
around a report costs more than the report."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Final

from breakers.protocol import messages as wire
from dashboard.access.services import authenticate_token
from dashboard.api.agents import published_schema
from dashboard.api.agents.acknowledgements import AckKeeper
from dashboard.api.agents.authentication import Authenticator
from dashboard.api.agents.capacity import Capacity
from dashboard.api.agents.desired_feed import DesiredFeed
from dashboard.api.agents.http import AgentHttp
from dashboard.api.agents.paths import ACKS, REPORTS, SOCKET
from dashboard.api.agents.socket import AgentSocket
from dashboard.bus import bus
from dashboard.common.asgi_types import Receive, Scope, Send
from dashboard.control.services import record_acks
from dashboard.policies.acknowledgements import record_refusals

logger = logging.getLogger("switchgear.gate")
_HTTP: Final = (REPORTS, ACKS, *published_schema.DOCUMENTS)


def _record(acks: Sequence[tuple[str, wire.Ack]]) -> None:
    record_acks(acks)
    record_refusals(acks)


class AgentApi:
    """Routes agents to their socket or to HTTP; contains every failure within its connection."""

    def __init__(self, capacity: Capacity) -> None:
        self._bus = bus()
        self._authenticator = Authenticator(authenticate_token)
        self._feed = DesiredFeed(self._bus)
        self._inbox = AckKeeper(self._bus, _record, capacity)
        self._capacity = capacity
        self._http = AgentHttp(self._inbox, self._authenticator, self._feed, capacity)
        self._following: asyncio.Task[None] | None = None

    def takes(self, scope: Scope) -> bool:
        """Whether a connection is an agent's."""
        path = scope["path"]
        return path in _HTTP if scope["type"] == "http" else path == SOCKET

    def start(self) -> None:
        """Begin to follow changes of desired states."""
        self._following = asyncio.create_task(self._feed.run(), name="gate")

    async def stop(self) -> None:
        """Stop following."""
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["path"] in published_schema.DOCUMENTS:
                await published_schema.serve(scope, send)
            elif scope["type"] == "http":
                await self._http.serve(scope, receive, send)
            else:
                socket = AgentSocket(
                    self._inbox, self._authenticator, self._feed, self._capacity, receive, send
                )
                await socket.serve(scope)
        except Exception:
            logger.exception("an agent's connection failed")
            if scope["type"] == "websocket":
                with contextlib.suppress(Exception):
                    await send({"type": "websocket.close", "code": 1011})
            else:
                raise
