"""The server of a web process: uvicorn, as this application needs it."""

from __future__ import annotations

import logging
import os
import socket
from typing import Final

import uvicorn
from django.conf import settings

from breakers.protocol import messages as wire
from dashboard.common.connections import doors

logger = logging.getLogger("switchgear")

# For answers that are on their way when all sockets have gone.
_LAST_ANSWERS_S: Final = 2
# What a client may send ahead of us. All at once are read into memory when they come faster than
# Redis takes them, and agents that wait merge what they have.
_SENT_AHEAD_BYTES: Final = 64 * 1024


class Server(uvicorn.Server):
    """Ends in order: no new connections, then sockets are told to come back elsewhere, then what is
    being answered is answered, then what runs beside (see `dashboard.asgi`) ends."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in (each for server in self.servers for each in server.sockets):
            with socket.socket(fileno=os.dup(listening.fileno())) as ours:
                # Connections have it from the socket that accepts them.
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SENT_AHEAD_BYTES)
        if self.started:
            logger.info("serving at http://%s:%d", self.config.host, self.config.port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for each in self.servers:
            each.close()
        if not self.force_exit:
            await doors.drain(settings.DRAIN_S)
        await super().shutdown(sockets)


def serve(host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    config = uvicorn.Config(
        "dashboard.asgi:application",
        host=host,
        port=port,
        ws="websockets-sansio",
        # One byte more than the wire allows, so that the gate can say what is wrong.
        ws_max_size=wire.MAX_MESSAGE_BYTES + 1,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_LAST_ANSWERS_S,
    )
    Server(config).run()
