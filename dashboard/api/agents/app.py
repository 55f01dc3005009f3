"""The agents' API as one ASGI application.

It bypasses Django's request handling, which costs more than a report does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Final

from breakers.protocol import messages as wire
from breakers.protocol.paths import ACKS, RECORDINGS, REPORTS, SOCKET
from dashboard.access.service_tokens import authenticate_token
from dashboard.api.agents import published_schema
from dashboard.api.agents.authentication import Authenticator
from dashboard.api.agents.budgets import ServiceBudgets
from dashboard.api.agents.capacity import Capacity
from dashboard.api.agents.desired_feed import DesiredFeed
from dashboard.api.agents.http import AgentHttp
from dashboard.api.agents.inbox import MessageInbox
from dashboard.api.agents.socket import AgentSocket
from dashboard.bus import bus
from dashboard.common import budget_figures
from dashboard.common.asgi_types import Receive, Scope, Send
from dashboard.common.supervision import cancel, keep_running
from dashboard.control.desired_state import DesiredState
from dashboard.control.services import record_acks
from dashboard.policies.acknowledgements import record_refusals
from dashboard.policies.fleet_rules import warm_starts
from dashboard.policies.queries import in_force

logger = logging.getLogger("switchgear.agents")
_HTTP: Final = (REPORTS, ACKS, RECORDINGS, *published_schema.DOCUMENTS)


def _record(acks: Sequence[tuple[str, wire.Ack]]) -> None:
    record_acks(acks)
    record_refusals(acks)


class AgentApi:
    """Routes agents to their socket or to HTTP; contains every failure within its connection."""

    def __init__(self, capacity: Capacity) -> None:
        self._bus = bus()
        self._authenticator = Authenticator(authenticate_token)
        self._feed = DesiredFeed(self._bus, DesiredState(in_force), warm_starts)
        budgets = ServiceBudgets()
        budget_figures.provide(budgets.figures)
        self._inbox = MessageInbox(self._bus, _record, capacity, budgets)
        self._capacity = capacity
        self._http = AgentHttp(self._inbox, self._authenticator, self._feed, capacity)
        self._following: asyncio.Task[None] | None = None

    def takes(self, scope: Scope) -> bool:
        """Whether a connection belongs to this API."""
        path = scope["path"]
        return path in _HTTP if scope["type"] == "http" else path == SOCKET

    def start(self) -> None:
        """Begin to follow changes of desired states."""
        self._following = asyncio.create_task(
            keep_running("desired state", self._feed.run), name="desired state"
        )

    async def stop(self) -> None:
        """Stop following."""
        if self._following is not None:
            await cancel(self._following)

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
            logger.exception("the connection of an agent failed")
            if scope["type"] == "websocket":
                with contextlib.suppress(Exception):
                    await send({"type": "websocket.close", "code": 1011})
            else:
                raise
