"""Dependencies on real sockets that fail in every way the modes need."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import time
from dataclasses import dataclass
from itertools import count

from tests.failure_modes.answers import truth

NORMAL_S = 0.005


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault. `value` is its seconds, status or size; `every` hits each n-th request."""

    kind: str
    value: float = 0.0
    every: float = 1.0


HEALTHY = Fault("healthy")


class Dependency:
    """An HTTP server, by hand: only bytes can be halved, dripped and cut."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.fault = HEALTHY
        self.requests = 0
        self.in_flight = 0
        self.peak = 0
        self.tls: ssl.SSLContext | None = None
        self.port = 0
        self._turn = count(1)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._stuck: list[socket.socket] = []

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._accepted, "127.0.0.1", self.port, ssl=self.tls, backlog=256
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and reset every connection."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        for each in self._stuck:
            each.close()
        self._stuck.clear()
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def behave(self, fault: Fault) -> None:
        """Behave like this from now on."""
        down = ("refuse", "accept nothing", "plain", "expired")
        was, self.fault = self.fault, fault
        if fault.kind not in down and was.kind not in down:
            return
        tls = self.tls
        await self.stop()
        if fault.kind == "refuse":
            return
        if fault.kind == "accept nothing":
            self._fill_backlog()
            return
        if fault.kind == "plain":
            self.tls = None
        elif fault.kind == "expired":
            self.tls = self.expired
        await self.start()
        self.tls = tls

    expired: ssl.SSLContext | None = None

    def _fill_backlog(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(0)
        self._stuck.append(listener)
        for _ in range(3):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", self.port))
            self._stuck.append(waiting)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    self.requests += 1
                    self.in_flight += 1
                    self.peak = max(self.peak, self.in_flight)
                    try:
                        await self._reply(head, writer)
                    finally:
                        self.in_flight -= 1
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _reply(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        path = head.split(b" ", 2)[1].decode()
        user_id = int(path.rsplit("/", 1)[1])
        turn = next(self._turn)
        fault = self.fault
        if fault.kind == "flap":
            period = fault.value
            fault = Fault("status", 500) if time.monotonic() % (2 * period) < period else HEALTHY
        elif turn % fault.every >= 1:
            fault = HEALTHY
        await asyncio.sleep(NORMAL_S)
        if fault.kind in ("slow", "hang"):
            await asyncio.sleep(fault.value if fault.kind == "slow" else 3600)
        elif fault.kind == "overload" and self.in_flight > fault.value:
            await asyncio.sleep(0.2)
            fault = Fault("status", 503)
        await self._write(writer, fault, user_id, path)

    async def _write(
        self, writer: asyncio.StreamWriter, fault: Fault, user_id: int, path: str
    ) -> None:
        body = json.dumps(truth(self.kind, user_id)).encode()
        headers, status, length = "", 200, None
        match fault.kind:
            case "status":
                status, body = int(fault.value), b'{"error": "out of order"}'
            case "retry after":
                status, body, headers = 429, b"{}", f"Retry-After: {fault.value:g}\r\n"
            case "redirect":
                status, body, headers = 302, b"", f"Location: {path}\r\n"
            case "corrupt":
                body = b'{"id": 1, "na\xff'
            case "shape":
                body = b'{"error": null, "data": "soon"}'
            case "foreign":
                body = json.dumps(truth(self.kind, user_id + 1)).encode()
            case "older":
                body = json.dumps(truth(self.kind, user_id) | {"version": 1}).encode()
            case "huge":
                body = b'["' + b"x" * int(fault.value) + b'"]'
            case "half" | "reset":
                length = len(body) * 2
            case "short":
                length = len(body) - 5
        length = len(body) if length is None else length
        start = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}"
        writer.write(f"{start}Content-Length: {length}\r\n\r\n".encode())
        if fault.kind == "drip":
            for n in range(len(body)):
                writer.write(body[n : n + 1])
                await writer.drain()
                await asyncio.sleep(fault.value)
            return
        writer.write(body)
        await writer.drain()
        if fault.kind == "reset":
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if fault.kind in ("half", "reset", "short"):
            raise ConnectionResetError


class CacheProxy:
    """A TCP proxy before Redis: healthy, slow, hang, or refuse."""

    def __init__(self, upstream: int) -> None:
        self.fault = HEALTHY
        self.requests = 0
        self.port = 0
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._flows: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in list(self._flows):
            writer.transport.abort()

    async def behave(self, fault: Fault) -> None:
        self.fault = fault
        if fault.kind == "refuse":
            await self.stop()
        elif self._server is None:
            await self.start()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        self._flows |= {writer, up_writer}
        try:
            await asyncio.gather(self._pump(reader, up_writer), self._pump(up_reader, writer, True))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._flows -= {writer, up_writer}
            writer.transport.abort()
            up_writer.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delays: bool = False
    ) -> None:
        while data := await reader.read(65536):
            if delays and self.fault.kind in ("slow", "hang"):
                await asyncio.sleep(self.fault.value or 3600)
            writer.write(data)
            await writer.drain()
        writer.transport.abort()


class NameServer(asyncio.DatagramProtocol):
    """A DNS server that knows one address: 127.0.0.1. It can be slow or deny every name."""

    def __init__(self) -> None:
        self.fault = HEALTHY
        self.requests = 0
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    async def stop(self) -> None:
        if self._transport is not None:
            self._transport.close()

    async def behave(self, fault: Fault) -> None:
        self.fault = fault

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.requests += 1
        wait = self.fault.value if self.fault.kind == "slow" else 0.0
        asyncio.get_running_loop().call_later(wait, self._answer, data, address)

    def _answer(self, data: bytes, address: tuple[str, int]) -> None:
        assert self._transport is not None
        if self._transport.is_closing():
            return
        denied = self.fault.kind == "denied"
        flags = b"\x81\x83" if denied else b"\x81\x80"
        counts = b"\x00\x01" + (b"\x00\x00" if denied else b"\x00\x01") + b"\x00\x00\x00\x00"
        record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\x7f\x00\x00\x01"
        self._transport.sendto(
            data[:2] + flags + counts + data[12:] + (b"" if denied else record), address
        )
