"""The metrics port of fleet workers and Celery workers answers whatever else is connected."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from dashboard.observability.process_metrics import serve


@pytest.fixture
def address(settings: Any) -> tuple[str, int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    settings.METRICS_HOST, settings.METRICS_PORT = "127.0.0.1", port
    serve(lambda: "")
    return "127.0.0.1", port


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: "])
def test_connections_that_send_nothing_do_not_block_the_health_check(
    address: tuple[str, int], sent: bytes
) -> None:
    with ExitStack() as idle:
        for _ in range(5):
            connection = idle.enter_context(socket.create_connection(address))
            connection.sendall(sent)
        url = f"http://{address[0]}:{address[1]}"
        with httpx.Client(trust_env=False, timeout=2.0) as client:
            assert client.get(f"{url}/healthz").json() == {"status": "ok"}
            assert client.get(f"{url}/metrics").status_code == 200


def test_past_the_bound_a_connection_is_closed_and_the_port_recovers(
    address: tuple[str, int],
) -> None:
    url = f"http://{address[0]}:{address[1]}/healthz"
    with ExitStack() as idle:
        for _ in range(60):
            idle.enter_context(socket.create_connection(address))
    with httpx.Client(
        trust_env=False, timeout=5.0, transport=httpx.HTTPTransport(retries=3)
    ) as client:
        for _ in range(20):
            try:
                assert client.get(url).status_code == 200
                return
            except httpx.TransportError:
                continue
    pytest.fail("the port did not recover")
