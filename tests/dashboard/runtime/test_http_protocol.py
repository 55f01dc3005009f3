"""What a stranger sends before a request is known has a bound, in bytes and in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn

from dashboard.runtime import http_protocol
from dashboard.runtime.http_protocol import MAX_HEAD_BYTES, BoundedHttpProtocol
from tests.servers import free_port

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
ONE_READ = 256 * 1024
SLOW_S = 0.5


async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/slow":
        await asyncio.sleep(SLOW_S)
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


class Connection:
    """One client, and what it has read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def status(self) -> int:
        """The status of the next response; 0 if the server has hung up without one."""
        line = await self.reader.readline()
        while (await self.reader.readline()).strip():
            pass
        return int(line.split()[1]) if line else 0

    async def ended(self) -> bool:
        """Whether the server closes the connection."""
        with suppress(ConnectionError):
            await asyncio.wait_for(self.reader.read(), 5)
        return self.reader.at_eof() or self.reader.exception() is not None


@asynccontextmanager
async def serving() -> AsyncIterator[Any]:
    port = free_port()
    config = uvicorn.Config(
        app, port=port, http=BoundedHttpProtocol, lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    opened: list[Connection] = []

    async def connect() -> Connection:
        opened.append(Connection(*await asyncio.open_connection("127.0.0.1", port)))
        return opened[-1]

    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield connect
    finally:
        for each in opened:
            each.writer.close()
        server.should_exit = True
        await task


@pytest.mark.parametrize(
    "begin", [HEAD + b"Authorization: Bearer ", HEAD + b"X", b"GET /", b"POST /?q="]
)
async def test_a_head_that_does_not_end_is_refused_after_its_bound(begin: bytes) -> None:
    async with serving() as connect:
        client = await connect()
        sent = 0
        with suppress(ConnectionError):
            await client.send(begin)
            while sent < 40 * MAX_HEAD_BYTES and not client.writer.transport.is_closing():
                await client.send(b"x" * 8192)
                sent += 8192
                await asyncio.sleep(0)
        assert await client.ended()
    # What the system and one read take in beside it.
    assert sent <= MAX_HEAD_BYTES + 2 * ONE_READ + 4 * 1024 * 1024


async def test_the_refusal_says_so() -> None:
    async with serving() as connect:
        client = await connect()
        await client.send(HEAD)
        for _ in range(9):
            await client.send(b"X-More: " + b"y" * 8000 + b"\r\n")
            await asyncio.sleep(0.02)
        assert await client.status() == 431


async def test_many_small_headers_are_bounded_together() -> None:
    async with serving() as connect:
        client = await connect()
        await client.send(HEAD)
        with suppress(ConnectionError):
            for n in range(2 * MAX_HEAD_BYTES // 10):
                client.writer.write(b"X-%d: 12345\r\n" % n)
                if n % 100 == 0:
                    await client.writer.drain()
        assert await client.ended()


async def test_large_headers_within_the_bound_and_many_requests_pass() -> None:
    async with serving() as connect:
        client = await connect()
        for _ in range(4):
            await client.send(HEAD + b"Cookie: " + b"c" * 30_000 + b"\r\n\r\n")
            assert await client.status() == 200
            assert await client.reader.readexactly(2) == b"ok"


async def test_a_body_is_no_head() -> None:
    async with serving() as connect:
        client = await connect()
        size = 3 * MAX_HEAD_BYTES
        await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(3):
            await client.send(b"b" * MAX_HEAD_BYTES)
        assert await client.status() == 200


@pytest.mark.parametrize("sent", [b"", b"G", HEAD, HEAD + b"X: y\r\n"])
async def test_a_head_that_drips_is_given_up(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_S", 0.2)
    async with serving() as connect:
        client = await connect()
        await client.send(sent)
        assert await client.status() == 408
        assert await client.ended()


async def test_the_next_request_of_a_connection_has_its_time_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_S", 0.3)
    async with serving() as connect:
        client = await connect()
        for _ in range(3):
            await client.send(HEAD + b"\r\n")
            assert await client.status() == 200
            await client.reader.readexactly(2)
            await asyncio.sleep(0.25)
        await client.send(HEAD)
        assert await client.status() == 408


async def test_a_pipelined_head_does_not_cut_off_the_response_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_S", SLOW_S / 3)
    async with serving() as connect:
        client = await connect()
        await client.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + HEAD)
        assert await client.status() == 200
        assert await client.reader.readexactly(2) == b"ok"
        assert await client.status() == 408
