"""A connection that is open but leads nowhere any more is noticed and replaced."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from breakers import CircuitBreaker, Registry
from breakers.agent import start
from breakers.testing import FakeDashboard


class Cable:
    """Carries bytes to a dashboard until it is cut: then it swallows them, and hangs nobody up."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cut = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """What is connected now leads nowhere; what connects later works."""
        self._cut.set()
        self._cut = threading.Event()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                for one, other in ((near, far), (far, near)):
                    threading.Thread(
                        target=self._carry, args=(one, other, self._cut), daemon=True
                    ).start()

    def _carry(self, one: socket.socket, other: socket.socket, cut: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                if not cut.is_set():
                    other.sendall(data)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def dashboard() -> Iterator[FakeDashboard]:
    with FakeDashboard() as running:
        yield running


def test_a_cut_cable_is_noticed_by_its_pings_and_every_count_arrives_once(
    dashboard: FakeDashboard,
) -> None:
    cable = Cable(int(dashboard.url.rpartition(":")[2]))
    registry = Registry()
    posts = CircuitBreaker(name="posts", registry=registry)
    agent = start(
        url=f"ws://127.0.0.1:{cable.port}",
        token=dashboard.token,
        service="tested",
        registry=registry,
        ping_s=1.0,
        timeout_s=0.3,
        reconnect_max_s=0.1,
    )
    posts.call(len, "four")
    dashboard.wait_for(lambda: dashboard.counts("posts").get("success") == 1)
    cable.cut()
    posts.call(len, "four")
    dashboard.wait_for(lambda: dashboard.counts("posts").get("success") == 2, timeout_s=10.0)
    assert dashboard.connects == 2
    agent.stop()
    cable.close()
