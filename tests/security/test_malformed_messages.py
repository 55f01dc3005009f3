"""Ten thousand malformed messages at each socket; the server answers as before."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from breakers.protocol.codec import JSON, MSGPACK
from tests.dashboard.api.agents.talking import report
from tests.examples.running import http
from tests.security.conftest import Live

MESSAGES: Final = 10_000
# Messages of one connection: the first is refused and ends it, so that the others arrive while the
# server closes. Opening a browser's socket reads the session from the database.
_OF_AGENTS, _OF_BROWSERS = 2, 8
_PARALLEL: Final = 24


def malformed(valid: bytes, seed: int) -> Iterator[bytes]:
    """Endless messages that no decoder takes: noise, cut, flipped, nested and of wrong types."""
    chance = random.Random(seed)
    while True:
        cut, at = chance.randrange(1, len(valid)), chance.randrange(len(valid))
        yield chance.randbytes(chance.randrange(1, 400))
        yield valid[:cut]
        yield valid[:at] + bytes([valid[at] ^ (1 << chance.randrange(8))]) + b"\xc1" + valid[at:]
        yield b"[" * chance.randrange(1, 3000)
        yield b"\x91" * chance.randrange(1, 3000)
        yield json.dumps({"type": chance.choice(["", "report", "ack", 7]), "x": [None]}).encode()
        yield b""
        yield b"\xdf\xff\xff\xff\xff" + chance.randbytes(40)


async def flood(
    make: Callable[[], Any], messages: list[bytes], a_connection: int, is_text: bool
) -> int:
    """Send messages, some on each connection; returns how many of them the server has answered by
    closing."""
    ended = 0
    left = [messages[at : at + a_connection] for at in range(0, len(messages), a_connection)]

    async def send_all() -> None:
        nonlocal ended
        while left:
            batch = left.pop()
            async with make() as opened:
                try:
                    for each in batch:
                        await opened.send(each.decode("latin-1") if is_text else each)
                    while True:
                        await asyncio.wait_for(opened.recv(), 60)
                except ConnectionClosed:
                    ended += len(batch)

    await asyncio.gather(*(send_all() for _ in range(_PARALLEL)))
    return ended


def some(valid: bytes, seed: int) -> list[bytes]:
    source = malformed(valid, seed)
    return [next(source) for _ in range(MESSAGES)]


def still_answers(live: Live) -> None:
    began = time.monotonic()
    assert http.get(f"{live.url}/healthz").status_code == 200
    headers = {"Authorization": f"Bearer {live.service_token}"}
    sent = report(1, f"after-{began}")
    assert http.post(f"{live.url}/api/v1/reports", json=sent, headers=headers).status_code == 200
    viewer = {"Authorization": f"Bearer {live.tokens['viewer']}"}
    services = http.get(f"{live.url}/api/v1/services", headers=viewer)
    assert services.status_code == 200


@pytest.mark.parametrize("is_text", [False, True], ids=["binary", "text"])
def test_the_agents_socket_survives_malformed_messages(live: Live, is_text: bool) -> None:
    codec = JSON if is_text else MSGPACK
    valid = json.dumps(report()).encode() if is_text else msgspec.msgpack.encode(report())

    def make() -> Any:
        return connect(
            live.socket_url + "/agent/v1",
            additional_headers={"Authorization": f"Bearer {live.service_token}"},
            subprotocols=[Subprotocol(codec.subprotocol)],
            compression=None,
            proxy=None,
        )

    messages = some(valid, 1)[is_text::2]
    assert asyncio.run(flood(make, messages, _OF_AGENTS, is_text)) == len(messages)
    still_answers(live)


@pytest.mark.parametrize("is_text", [False, True], ids=["binary", "text"])
def test_the_browsers_socket_survives_malformed_messages(live: Live, is_text: bool) -> None:
    def make() -> Any:
        return connect(
            live.socket_url + "/live/v1",
            additional_headers={"Cookie": live.cookies["viewer"]},
            origin=Origin(live.url),
            compression=None,
            proxy=None,
        )

    messages = some(b'{"subscribe": {"services": ["*"], "detail": "wall"}}', 2)[is_text::2]
    assert asyncio.run(flood(make, messages, _OF_BROWSERS, is_text)) == len(messages)
    still_answers(live)
