"""The server of a web process: uvicorn, as this application needs it."""

from __future__ import annotations

import logging
import socket
from typing import Final

import uvicorn
from django.conf import settings

from breakers import wire
from dashboard.doors import doors

logger = logging.getLogger("switchgear")

# For answers that are on their way when all sockets have gone.
_LAST_ANSWERS_S: Final = 2


class Server(uvicorn.Server):
    """Ends in order: no new connections, then sockets are told to come back elsewhere, then what is
    being answered is answered, then what runs beside (see `dashboard.asgi`) ends."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
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
