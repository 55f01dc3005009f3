"""When a report may be lost, none that came after it is appended: its number would make the lost
one look counted when the agent sends it again."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from breakers.protocol import messages as wire
from breakers.protocol.codec import Codec
from dashboard.access.service_tokens import Grant
from dashboard.api.agents.authentication import Authenticator
from dashboard.api.agents.socket import AgentSocket
from dashboard.control.desired_state import Encoded

# Looking a token up goes through the database's thread, whatever the look-up.
pytestmark = pytest.mark.django_db


class Inbox:
    """Keeps what was appended, and the futures that say whether it is safe."""

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.futures: list[asyncio.Future[None]] = []

    async def admit(self, service: str, size: int) -> None: ...

    async def append(
        self, service: str, message: wire.FromAgent, packed: bytes
    ) -> asyncio.Future[None]:
        assert isinstance(message, wire.Report)
        self.seqs.append(message.seq)
        self.futures.append(asyncio.get_running_loop().create_future())
        return self.futures[-1]


class Feed:
    """Nothing is desired."""

    def listen(self, service: str, event: asyncio.Event) -> None: ...

    def forget(self, service: str, event: asyncio.Event) -> None: ...

    async def encoded(
        self, service: str, codec: Codec, over_capacity: list[str], new: str = ""
    ) -> Encoded:
        desired = wire.Desired(revision=1, over_capacity=over_capacity)
        return Encoded(1, codec.encode(desired))


class Capacity:
    """There is enough."""

    def has_capacity(self, service: str, instance: str) -> bool:
        return True

    def over_capacity(self, service: str, instance: str) -> list[str]:
        return []

    def knows(self, service: str, instance: str) -> bool:
        return True


def report(seq: int) -> dict[str, Any]:
    body = {"type": "report", "service": "shop", "instance": {"id": "i"}, "boot": "b", "seq": seq}
    return {"type": "websocket.receive", "text": json.dumps({**body, "interval_s": 1.0})}


@pytest.mark.parametrize("read_first", [False, True])
async def test_nothing_is_appended_behind_a_report_that_may_be_lost(read_first: bool) -> None:
    inbox, sent = Inbox(), []
    heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def send(event: Any) -> None:
        sent.append(event)

    token: Any = Authenticator(lambda token, address: Grant("shop"))
    socket = AgentSocket(inbox, token, Feed(), Capacity(), heard.get, send)  # type: ignore[arg-type]
    scope = {
        "headers": [(b"authorization", b"Bearer " + b"t" * 40)],
        "subprotocols": ["switchgear.v1.json"],
    }
    for event in ({"type": "websocket.connect"}, report(1), report(2)):
        heard.put_nowait(event)
    serving = asyncio.create_task(socket.serve(scope))
    async with asyncio.timeout(5):
        while len(inbox.seqs) < 2:
            await asyncio.sleep(0)
    inbox.futures[0].set_result(None)
    if read_first:
        heard.put_nowait(report(3))
    inbox.futures[1].cancel()
    heard.put_nowait(report(4))
    async with asyncio.timeout(5):
        while not any(event.get("code") == 1012 for event in sent):
            await asyncio.sleep(0)
    heard.put_nowait(report(5))
    heard.put_nowait({"type": "websocket.disconnect"})
    await asyncio.wait_for(serving, 5)
    assert inbox.seqs == [1, 2]
