"""Lines of JSON over TCP: little work for a process that must make many requests."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any


class Pool:
    """Connections to one server, `size` at most; who gets none waits."""

    def __init__(self, port: int, size: int) -> None:
        self._port = port
        self._free: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()
        self._slots = asyncio.Semaphore(size)

    async def ask(self, message: Any) -> Any:
        """Send one message and return its answer. A cancelled exchange closes its connection."""
        async with self._slots:
            if self._free:
                reader, writer = self._free.pop()
            else:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                writer.write(json.dumps(message).encode() + b"\n")
                line = await reader.readline()
            except BaseException:
                writer.transport.abort()
                raise
            if not line:
                writer.transport.abort()
                raise ConnectionResetError("the server closed the connection")
            self._free.append((reader, writer))
        answer = json.loads(line)
        if isinstance(answer, dict) and "error" in answer:
            raise ConnectionRefusedError(answer["error"])
        return answer


async def read_line(reader: asyncio.StreamReader) -> bytes:
    """The next line; empty at the end of a connection, however it ended."""
    try:
        return await reader.readline()
    except ConnectionError:
        return b""
