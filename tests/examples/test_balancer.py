"""The production shape's balancer, before real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from examples.production.balancer import Backend, Balancer, Client

BLOCK = 1024 * 1024


async def answering(name: bytes) -> asyncio.Server:
    """A backend that answers each line with its name."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await reader.readuntil():
                writer.write(name + b"\n")
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


def port_of(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


@contextlib.asynccontextmanager
async def balancing(*ports: int) -> AsyncIterator[int]:
    """The port of a balancer before these."""
    balancer = Balancer([Backend("127.0.0.1", port) for port in ports])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Client(balancer), "127.0.0.1", 0)
    try:
        yield port_of(server)
    finally:
        server.close()


async def ask(port: int) -> tuple[bytes, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"who\n")
    return await asyncio.wait_for(reader.readline(), 10), writer


async def test_connections_go_to_the_backend_that_has_the_fewest() -> None:
    one, two = await answering(b"one"), await answering(b"two")
    async with one, two, balancing(port_of(one), port_of(two)) as port:
        asked = await asyncio.gather(*(ask(port) for _ in range(100)))
        assert [answer for answer, _ in asked].count(b"one\n") == 50
        for _, writer in asked:
            writer.close()


async def test_a_backend_that_is_gone_is_passed_over() -> None:
    one, two = await answering(b"one"), await answering(b"two")
    ports = port_of(one), port_of(two)
    one.close()
    async with two, balancing(*ports) as port:
        for _ in range(5):
            answer, writer = await ask(port)
            assert answer == b"two\n"
            writer.close()


async def test_where_nobody_answers_it_says_so() -> None:
    gone = await answering(b"")
    ports = [port_of(gone)]
    gone.close()
    async with balancing(*ports) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        said = await asyncio.wait_for(reader.read(), 10)
        writer.close()
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert f"content-length: {len(body)}".encode() in head


async def test_a_side_that_does_not_read_holds_up_the_other() -> None:
    taken = asyncio.Event()
    got = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        await taken.wait()
        while data := await reader.read(BLOCK):
            got += len(data)
        writer.close()

    slow = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with slow, balancing(port_of(slow)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = 0
        with pytest.raises(TimeoutError):
            while True:
                writer.write(bytes(BLOCK))
                sent += BLOCK
                await asyncio.wait_for(writer.drain(), 0.5)
        assert sent < 64 * BLOCK, "the balancer takes in no more than fits between the two"
        taken.set()
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 10) == b""
        assert got == sent
