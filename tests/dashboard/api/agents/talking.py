"""How the tests talk to the agents' API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import msgspec
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from breakers.protocol import messages as wire
from breakers.protocol.codec import JSON, Codec
from tests.dashboard.child_process import Dashboard
from tests.examples.running import http


def report(seq: int = 1, boot: str = "b", **changes: Any) -> dict[str, Any]:
    body = {
        "type": "report",
        "service": "shop",
        "instance": {"id": "one", "host": "here"},
        "boot": boot,
        "seq": seq,
        "interval_s": 1.0,
        "breakers": [{"name": "posts", "state": "closed", "counts": {"success": 3}}],
    }
    return {**body, **changes}


@contextmanager
def socket(
    dashboard: Dashboard, token: str, codec: Codec = JSON, **more: Any
) -> Iterator[ClientConnection]:
    url = dashboard.url.replace("http", "ws", 1) + "/agent/v1"
    with connect(
        url,
        additional_headers={"Authorization": f"Bearer {token}"},
        subprotocols=[codec.subprotocol],  # type: ignore[list-item]
        max_size=None,
        **more,
    ) as opened:
        yield opened


def hear(opened: ClientConnection, codec: Codec = JSON) -> wire.FromServer:
    data = opened.recv(timeout=5)
    return codec.from_server(data.encode() if isinstance(data, str) else data)


def say(opened: ClientConnection, body: dict[str, Any], codec: Codec = JSON) -> None:
    if codec.is_text:
        opened.send(json.dumps(body))
    else:
        opened.send(msgspec.msgpack.encode(body))


def post(
    dashboard: Dashboard, token: str, body: bytes | dict[str, Any], **headers: str
) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return http.post(
        f"{dashboard.url}/api/v1/reports",
        content=content,
        headers={
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
    )


def closing(opened: ClientConnection) -> int:
    """The code with which the server closes, whatever it says before."""
    with suppress(ConnectionClosed):
        while True:
            opened.recv(timeout=15)
    assert opened.close_code is not None
    return opened.close_code


def counted(dashboard: Dashboard, boot: str) -> Any:
    """What is stored of one life: the last report, and no more."""
    return dashboard.python(
        "from dashboard.fleet.models import Cursor\n"
        f"found = Cursor.objects.filter(boot='{boot}').values_list('seq', flat=True)\n"
        "print(json.dumps(list(found)))"
    )
