"""Synthetic agents that speak the real protocol at the cost of a few system calls a report."""

from __future__ import annotations

import asyncio
import struct
import time
from typing import Final, cast
from urllib.parse import urlsplit

from benchmarks.sockets import BINARY, Socket, frame
from breakers.protocol import messages as wire
from breakers.protocol.codec import MSGPACK

BREAKERS: Final = 20
CALLS: Final = 50
_MARK: Final = 2**52
_HEADERS: Final = f"Sec-WebSocket-Protocol: {wire.SUBPROTOCOL_MSGPACK}"


def report(service: str, instance: str, calls: int = CALLS) -> wire.Report:
    """A report of 20 breakers, 4.4 kB, as a busy service's agent sends each second. Each breaker
    counts `calls` successes."""
    sketch = {index: 1 + (index * 7) % 5 for index in range(-44, -24)}
    breakers = [
        wire.BreakerReport(
            name=f"dependency-{n:02}.orders.read",
            state="closed",
            since_s=1234.5,
            cause="closed after 3 successes",
            counts=wire.Counts(success=calls, failure=2, slow=1, retry=1, rejected=1),
            histogram=wire.Histogram(sketch, 1.25),
            in_flight=n % 4,
        )
        for n in range(BREAKERS)
    ]
    info = wire.Instance(id=instance, host="web-07.example", pid=4711, version="2.4.1", zone="b")
    return wire.Report(
        service=service, instance=info, boot=f"boot-{instance}", seq=_MARK, interval_s=1.0,
        breakers=breakers,
    )  # fmt: skip


class Template:
    """A report encoded once; only its number is written into it afterwards."""

    def __init__(self, made: wire.Report, framed: bool) -> None:
        body = MSGPACK.encode(made)
        self._bytes = bytearray(frame(BINARY, body) if framed else body)
        self._at = self._bytes.index(struct.pack("!BQ", 0xCF, _MARK)) + 1

    def numbered(self, seq: int) -> bytes:
        """The report with this number."""
        struct.pack_into("!Q", self._bytes, self._at, seq)
        return bytes(self._bytes)


class SocketAgent:
    """An agent over a WebSocket."""

    def __init__(self, service: str, instance: str, token: str) -> None:
        self.sent = self.safe = 0
        self._token = token
        self._template = Template(report(service, instance), framed=True)
        self.socket = Socket(self._hear)
        self.desired: list[tuple[float, wire.Desired]] = []

    async def connect(self, url: str) -> None:
        """Open the connection."""
        await self.socket.connect(
            url, "/agent/v1", f"Authorization: Bearer {self._token}", _HEADERS
        )

    def renew(self) -> None:
        """Take a new socket, after the last one was closed."""
        self.socket = Socket(self._hear)

    def report(self) -> None:
        """Send the next report."""
        self.sent += 1
        self.socket.transport.write(self._template.numbered(self.sent))

    def close(self) -> None:
        """Hang up."""
        self.socket.transport.close()

    def _hear(self, payload: bytes) -> None:
        message = MSGPACK.from_server(payload)
        if isinstance(message, wire.Received):
            self.safe = max(self.safe, message.seq)
        elif isinstance(message, wire.Desired):
            self.desired.append((time.perf_counter(), message))
        else:
            raise RuntimeError(f"the server refused a report: {message}")


class HttpAgent(asyncio.Protocol):
    """An agent over HTTP, on a connection that is kept: its next report waits for the answer."""

    def __init__(self, service: str, instance: str, token: str) -> None:
        self.sent = self.safe = 0
        self._token = token
        self._template = Template(report(service, instance), framed=False)
        self._buffer = bytearray()
        self.transport: asyncio.Transport
        self.done = False
        self._head = b""
        self._opening: asyncio.Future[None] | None = None

    async def connect(self, url: str) -> None:
        """Open the connection."""
        self._address = urlsplit(url)
        size = len(self._template.numbered(1))
        self._head = (
            f"POST /api/v1/reports HTTP/1.1\r\nHost: {self._address.netloc}\r\n"
            f"Authorization: Bearer {self._token}\r\nContent-Type: {wire.CONTENT_MSGPACK}\r\n"
            f"Content-Length: {size}\r\n\r\n"
        ).encode()
        await self._open()

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, self._address.hostname, self._address.port)
        if self.sent > self.safe:
            self._say()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._buffer.clear()

    def connection_lost(self, error: Exception | None) -> None:
        # The server ends connections that were idle; what was not answered is said again.
        if self.sent > self.safe and not self.done:
            self._opening = asyncio.ensure_future(self._open())

    def report(self) -> None:
        """Send the next report; only when the one before was answered."""
        self.sent += 1
        if self.transport.is_closing():
            self._opening = asyncio.ensure_future(self._open())
        else:
            self._say()

    def close(self) -> None:
        """Hang up."""
        self.done = True
        self.transport.close()

    def _say(self) -> None:
        self.transport.write(self._head + self._template.numbered(self.sent))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        length = int(head.partition(b"content-length:")[2].split()[0])
        if len(self._buffer) < end + 4 + length:
            return
        del self._buffer[: end + 4 + length]
        if head.startswith(b"http/1.1 200"):
            self.safe = self.sent
        elif head.startswith(b"http/1.1 503"):  # busy: once more
            asyncio.get_running_loop().call_later(1.0, self._say)
        else:
            raise RuntimeError(f"a report was answered with {head[:200]!r}")
