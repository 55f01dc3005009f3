"""A WebSocket client that costs next to nothing, since the load shares its machine with what it
loads: frames are built and taken apart by hand, and masked with zeros."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from typing import Final, cast
from urllib.parse import urlsplit

TEXT: Final = 1
BINARY: Final = 2
_CLOSE: Final = 8
_PING: Final = 9
_PONG: Final = 10
_NO_MASK: Final = b"\0\0\0\0"


def frame(opcode: int, payload: bytes) -> bytes:
    """One client's frame."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 65_536:
        head = bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + _NO_MASK + payload


class Socket(asyncio.Protocol):
    """One connection. `heard` is called with the payload of each message."""

    def __init__(self, heard: Callable[[bytes], None]) -> None:
        self._heard = heard
        self._buffer = bytearray()
        self._is_open = False
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()
        self.transport: asyncio.Transport
        self._handshake = b""

    async def connect(self, url: str, path: str, *headers: str) -> None:
        """Shake hands. Raises OSError where the server declines."""
        address = urlsplit(url)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {address.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
            *headers,
            "\r\n",
        ]
        self._handshake = "\r\n".join(lines).encode()
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, address.hostname, address.port)
        async with asyncio.timeout(20):
            await self.opened

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        transport.write(self._handshake)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(OSError("the server hung up"))
        self.closed.set()
        self.writable.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        if not self._is_open:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if not buffer.startswith(b"HTTP/1.1 101"):
                self.opened.set_exception(OSError(bytes(buffer[:200]).decode("latin-1")))
                return
            self._is_open = True
            self.opened.set_result(None)
            del buffer[: end + 4]
        while len(buffer) >= 2:
            size, at = buffer[1], 2
            if size == 126:
                size, at = int.from_bytes(buffer[2:4], "big"), 4
            elif size == 127:
                size, at = int.from_bytes(buffer[2:10], "big"), 10
            if len(buffer) < at + size:
                return
            opcode, payload = buffer[0] & 15, bytes(buffer[at : at + size])
            del buffer[: at + size]
            if opcode in (TEXT, BINARY):
                self._heard(payload)
            elif opcode == _PING:
                self.transport.write(frame(_PONG, payload))
            elif opcode == _CLOSE:
                self.transport.close()
