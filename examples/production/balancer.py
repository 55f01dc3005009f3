"""A load balancer for one machine: TCP connections go to the backend that has the fewest.

`python -m examples.production.balancer --port 8000 127.0.0.1:8011 127.0.0.1:8012`

It stands in where haproxy is not installed and nobody is root; see deploy/balancer.sh. A backend
that refuses a connection is passed over, and asked again with the next connection after a second.
Both directions stop reading while the other side does not take what was read.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import uvloop

_PASSED_OVER_S = 1.0
_CONNECT_S = 2.0
_BUFFER = 256 * 1024
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: 24\r\n\r\nno backend answers here\n"
)


@dataclass(eq=False)
class Backend:
    """Where connections go, and how many are there."""

    host: str
    port: int
    connections: int = 0
    passed_over_until: float = 0.0


class Balancer:
    """Picks the backend of each connection."""

    def __init__(self, backends: Sequence[Backend]) -> None:
        self._backends = backends

    def _in_order(self) -> list[Backend]:
        """The fewest connections first; those that refused just now last."""
        now = time.monotonic()
        return sorted(self._backends, key=lambda b: (b.passed_over_until > now, b.connections))

    async def connect(self, client: Side) -> Side | None:
        """A connection to a backend for this client; None where none answers."""
        loop = asyncio.get_running_loop()
        for backend in self._in_order():
            backend.connections += 1
            server = Side(backend)
            try:
                async with asyncio.timeout(_CONNECT_S):
                    await loop.create_connection(partial(_same, server), backend.host, backend.port)
            except (OSError, TimeoutError):
                backend.connections -= 1
                backend.passed_over_until = time.monotonic() + _PASSED_OVER_S
                continue
            server.other = client
            return server
        return None


class Side(asyncio.Protocol):
    """One of the two connections of a pair: what comes in here goes out at the other."""

    def __init__(self, backend: Backend | None = None) -> None:
        self.other: Side | None = None
        self._backend = backend
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are of another class, and have the same methods.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(_BUFFER)

    @property
    def transport(self) -> asyncio.Transport:
        """The connection, once it is made."""
        assert self._transport is not None
        return self._transport

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        if self.other is not None and self.other.transport.can_write_eof():
            self.other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if self.other is not None:
            with contextlib.suppress(RuntimeError):
                self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            with contextlib.suppress(RuntimeError):
                self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if self._backend is not None:
            self._backend.connections -= 1
        if self.other is not None:
            self.other.transport.close()


def _same(side: Side) -> Side:
    return side


class Client(Side):
    """A connection that came in; what it says before it has a backend waits."""

    def __init__(self, balancer: Balancer) -> None:
        super().__init__()
        self._balancer = balancer
        self._early = bytearray()
        self._ended_early = False
        self._pairing: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._pairing = asyncio.create_task(self._pair())

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.transport.write(data)
            return
        self._early += data
        if len(self._early) > _BUFFER:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        self._ended_early = self.other is None
        return super().eof_received()

    async def _pair(self) -> None:
        server = await self._balancer.connect(self)
        if server is None:
            self.transport.write(_BUSY)
            self.transport.close()
        elif self.transport.is_closing():
            server.transport.close()
        else:
            server.transport.write(bytes(self._early))
            self._early.clear()
            self.other = server
            self.transport.resume_reading()
            if self._ended_early:
                server.transport.write_eof()


async def serve(port: int, backends: Sequence[Backend]) -> None:
    """Until SIGTERM or SIGINT."""
    balancer = Balancer(backends)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    server = await loop.create_server(lambda: Client(balancer), "127.0.0.1", port, backlog=1024)
    await ended.wait()
    server.close()


def _backend(text: str) -> Backend:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no address; it must be host:port")
    return Backend(host, int(port))


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description="A load balancer for one machine.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("backends", type=_backend, nargs="+", metavar="host:port")
    options = parser.parse_args()
    uvloop.run(serve(options.port, options.backends))


if __name__ == "__main__":
    main()
