"""The server of a web process: uvicorn, configured for this application."""

from __future__ import annotations

import logging
import os
import socket
from typing import Final

import uvicorn
from django.conf import settings

from breakers.protocol import messages as wire
from dashboard.common.connections import connections
from dashboard.runtime.http_protocol import BoundedHttpProtocol

logger = logging.getLogger("switchgear")

# For responses in progress after all sockets have closed.
_LAST_ANSWERS_S: Final = 2
# Receive buffer of a connection. It bounds the memory for messages that arrive faster than Redis
# stores them; agents that wait merge their reports.
_SENT_AHEAD_BYTES: Final = 64 * 1024


class Server(uvicorn.Server):
    """Shuts down in order: stop accepting, close sockets gracefully, finish responses, then end the
    background tasks (see `dashboard.asgi`)."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in (each for server in self.servers for each in server.sockets):
            with socket.socket(fileno=os.dup(listening.fileno())) as copy:
                # Connections inherit the option from the listening socket.
                copy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SENT_AHEAD_BYTES)
        if self.started:
            logger.info("serving at http://%s:%d", self.config.host, self.config.port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for each in self.servers:
            each.close()
        if not self.force_exit:
            await connections.drain(settings.DRAIN_S)
        await super().shutdown(sockets)


def serve(host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    config = uvicorn.Config(
        "dashboard.asgi:application",
        host=host,
        port=port,
        http=BoundedHttpProtocol,
        ws="websockets-sansio",
        # One byte more than the wire allows, so that the agents' API can report the error.
        ws_max_size=wire.MAX_MESSAGE_BYTES + 1,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_LAST_ANSWERS_S,
    )
    Server(config).run()
