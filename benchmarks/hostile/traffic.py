"""The attackers of `python -m benchmarks.hostile`: bounded in count, rate and time.

A stranger sends in turn: a bearer token of 2 MB, a request whose headers never end, a wrong token
with a gzip bomb, a body that drips, bytes that are no HTTP, an idle connection, a WebSocket without
a token. The hostile token sends in turn: counts of 2**40 under a name that is repeated, a report of
590 seconds with 1,000 breakers, ever new instances, ever new boots, acknowledgements of overrides
that nobody made, ids that hold NUL, messages that are too large, messages that are no MessagePack.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import itertools
import os
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from benchmarks.sockets import BINARY, Socket, frame
from breakers.protocol import messages as wire

_PAUSE_S: Final = 2.0
_TOKEN_CONNECTIONS: Final = 8
_TOKEN_PAUSE_S: Final = 0.25
_PATIENCE_S: Final = 10.0
_BOMB: Final = gzip.compress(bytes(64 * 1024 * 1024))
_HUGE: Final = b"x" * (2 * 1024 * 1024)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile.traffic")
    parser.add_argument("url")
    parser.add_argument("--strangers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    asyncio.run(_attack(options.url, options.strangers, options.seconds))


async def _attack(url: str, strangers: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    token = os.environ["HOSTILE_TOKEN"]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds + _PATIENCE_S):
            await asyncio.gather(
                *(_stranger(url, n, until) for n in range(strangers)),
                *(_insider(url, token, n, until) for n in range(_TOKEN_CONNECTIONS)),
            )


async def _stranger(url: str, number: int, until: float) -> None:
    await asyncio.sleep(random.random() * _PAUSE_S)
    for attack in itertools.islice(itertools.cycle(_STRANGERS), number, None):
        if time.monotonic() > until:
            return
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(_PATIENCE_S):
                await attack(url)
        await asyncio.sleep(_PAUSE_S * (0.5 + random.random()))


async def _exchange(url: str, *pieces: bytes, pause_s: float = 0.0) -> None:
    """Send the pieces and read what comes until the server hangs up."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        for each in pieces:
            writer.write(each)
            await writer.drain()
            if pause_s:
                await asyncio.sleep(pause_s)
        await reader.read(65_536)
    finally:
        writer.close()


def _head(url: str, *headers: bytes, length: int = 0) -> bytes:
    host = urlsplit(url).netloc.encode()
    return b"\r\n".join(
        (
            b"POST /api/v1/reports HTTP/1.1",
            b"Host: " + host,
            b"Content-Type: application/msgpack",
            b"Content-Length: %d" % length,
            *headers,
            b"",
            b"",
        )
    )


async def _huge_token(url: str) -> None:
    await _exchange(url, _head(url, b"Authorization: Bearer " + _HUGE))


async def _endless_headers(url: str) -> None:
    head = _head(url)[:-2]
    await _exchange(url, head, *(b"X-%d: %s\r\n" % (n, b"y" * 1000) for n in range(200)))


async def _bomb(url: str) -> None:
    token = b"Authorization: Bearer swg_" + os.urandom(24).hex().encode()
    head = _head(url, token, b"Content-Encoding: gzip", length=len(_BOMB))
    await _exchange(url, head, _BOMB)


async def _drip(url: str) -> None:
    await _exchange(url, _head(url, length=1000), *(b"z" for _ in range(8)), pause_s=1.0)


async def _noise(url: str) -> None:
    await _exchange(url, os.urandom(4096))


async def _idle(url: str) -> None:
    await _exchange(url, b"", pause_s=8.0)


async def _no_token(url: str) -> None:
    socket = Socket(lambda payload: None)
    await socket.connect(url, "/agent/v1", f"Sec-WebSocket-Protocol: {wire.SUBPROTOCOL_MSGPACK}")
    socket.transport.close()


_STRANGERS: Final[tuple[Callable[[str], Awaitable[None]], ...]] = (
    _huge_token, _endless_headers, _bomb, _drip, _noise, _idle, _no_token,
)  # fmt: skip


async def _insider(url: str, token: str, number: int, until: float) -> None:
    numbers = itertools.count(number * 1_000_000 + 1)
    socket: Socket | None = None
    for attack in itertools.islice(itertools.cycle(_INSIDERS), number, None):
        if time.monotonic() > until:
            break
        with contextlib.suppress(OSError, TimeoutError):
            if socket is None or socket.closed.is_set():
                socket = Socket(lambda payload: None)
                await socket.connect(
                    url,
                    "/agent/v1",
                    f"Authorization: Bearer {token}",
                    f"Sec-WebSocket-Protocol: {wire.SUBPROTOCOL_MSGPACK}",
                )
            for payload in attack(next(numbers)):
                async with asyncio.timeout(_PATIENCE_S):
                    await socket.writable.wait()
                if socket.closed.is_set():
                    break
                socket.transport.write(frame(BINARY, payload))
        await asyncio.sleep(_TOKEN_PAUSE_S)
    if socket is not None and not socket.closed.is_set():
        socket.transport.close()


def _report(seq: int, breakers: list[dict[str, Any]], **more: Any) -> bytes:
    body = {
        "type": "report",
        "service": "hostile",
        "instance": {"id": f"h{seq // 1_000_000}"},
        "boot": "boot",
        "seq": seq,
        "interval_s": 1.0,
        "breakers": breakers,
        **more,
    }
    return msgspec.msgpack.encode(body)


def _poison(seq: int) -> list[bytes]:
    one = {"name": "poison", "state": "closed", "counts": {"success": 2**40, "failure": 2**40}}
    return [_report(seq, [one] * 1000)]


def _long(seq: int) -> list[bytes]:
    many = [{"name": f"b{n}", "state": "closed", "counts": {"success": n}} for n in range(1000)]
    return [_report(seq, many, interval_s=590.0)]


def _instances(seq: int) -> list[bytes]:
    many = [{"name": f"b{n}", "state": "closed"} for n in range(1000)]
    return [_report(1, many, instance={"id": f"i{seq}-{n}"}) for n in range(3)]


def _boots(seq: int) -> list[bytes]:
    return [_report(1, [], boot=f"boot-{seq}-{n}") for n in range(100)]


def _acks(seq: int) -> list[bytes]:
    items = [
        {"kind": "override", "breaker": f"b{n}", "status": "applied", "id": f"{seq}-{n}"}
        for n in range(100)
    ]
    body = {"type": "ack", "service": "hostile", "instance": "h", "revision": 1, "items": items}
    return [msgspec.msgpack.encode(body)]


def _nul(seq: int) -> list[bytes]:
    items = [{"kind": "override", "breaker": "b", "status": "applied", "id": "\0"}]
    body = {"type": "ack", "service": "hostile", "instance": "h\0", "revision": 1, "items": items}
    return [msgspec.msgpack.encode(body)]


def _large(seq: int) -> list[bytes]:
    return [bytes(2 * 1024 * 1024)]


def _random_bytes(seq: int) -> list[bytes]:
    return [os.urandom(2000)]


_INSIDERS: Final[tuple[Callable[[int], list[bytes]], ...]] = (
    _poison, _long, _instances, _boots, _acks, _nul, _large, _random_bytes,
)  # fmt: skip


if __name__ == "__main__":
    main()
