"""A web process that is told to end: sockets are handed over, nothing is lost, and it does end."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from breakers import CircuitBreaker, Registry
from breakers.agent import start
from breakers.protocol import messages as wire
from dashboard.common.connections import GOING_AWAY, Connections
from tests.dashboard.child_process import Embedded, embedded_dashboard
from tests.examples.running import eventually, http, running

DRAIN_S = 1.5
# Beside the drain: two seconds for answers, the last checkpoint, and a busy machine.
ENDED_S = DRAIN_S + 2 + 10


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    directory = tmp_path_factory.mktemp("shutdown")
    with embedded_dashboard(directory, SWITCHGEAR_DRAIN=str(DRAIN_S)) as dashboard:
        yield dashboard


@pytest.fixture
def own(one: Embedded) -> Embedded:
    """A dashboard that runs, and may be ended."""
    if one.process is None or one.process.process.poll() is not None:
        one.start()
    return one


def end(dashboard: Embedded) -> float:
    """Tell it to end; how long that took."""
    assert dashboard.process is not None
    began = time.monotonic()
    dashboard.process.process.send_signal(signal.SIGTERM)
    dashboard.process.process.wait(ENDED_S)
    return time.monotonic() - began


REPORT = """
{"type": "report", "service": "shop", "instance": {"id": "one"}, "boot": "b", "seq": 1,
 "interval_s": 1.0, "breakers": []}
"""
SESSION = """
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from dashboard.access.people import keep_person
eve = keep_person("eve", "viewer")
session = SessionStore()
session[SESSION_KEY] = str(eve.pk)
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = eve.get_session_auth_hash()
session.save()
print(json.dumps(session.session_key))
"""


def test_agents_and_browsers_are_told_to_come_back(own: Embedded) -> None:
    url = own.url.replace("http", "ws", 1)
    token = {"Authorization": f"Bearer {own.token('shop')}"}
    session = {"Cookie": f"sessionid={own.python(SESSION)}"}
    spoken = [wire.SUBPROTOCOL_JSON]
    with (
        connect(f"{url}/agent/v1", additional_headers=token, subprotocols=spoken) as agent,  # type: ignore[arg-type]
        connect(f"{url}/live/v1", additional_headers=session, origin=own.url) as browser,  # type: ignore[arg-type]
    ):
        agent.send(REPORT)
        agent.recv(timeout=5)  # the desired state
        browser.send('{"subscribe": {"services": ["*"]}}')
        browser.recv(timeout=5)  # the snapshot
        end(own)
        for client in (agent, browser):
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    client.recv(timeout=5)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == GOING_AWAY
            assert "connect again" in closed.value.rcvd.reason


def test_it_says_where_it_serves_and_why_it_cannot(own: Embedded) -> None:
    assert own.process is not None
    own.process.line(f"serving at {own.url}")
    with running("manage", "web", "--port", str(own.port), **own.own) as second:
        second.line("address already in use")
        assert second.process.wait(30) != 0


def test_whoever_does_not_go_holds_nobody_up_for_long(own: Embedded) -> None:
    head = (
        "GET /agent/v1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Sec-WebSocket-Protocol: {wire.SUBPROTOCOL_JSON}\r\n"
        f"Authorization: Bearer {own.token('shop')}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", own.port)) as deaf:
        deaf.sendall(head.encode())
        assert deaf.recv(12) == b"HTTP/1.1 101"
        assert end(own) < ENDED_S


def test_an_agent_comes_back_and_every_call_is_counted_once(own: Embedded) -> None:
    registry = Registry()
    posts = CircuitBreaker(name="posts", registry=registry)
    agent = start(service="shop", url=own.url, token=own.token("shop"), registry=registry)
    counted = (
        "from dashboard.history.models import Rollup\n"
        "print(json.dumps(sum(Rollup.objects.values_list('success', flat=True))))"
    )
    try:
        for _ in range(2):
            for _ in range(50):
                posts.call(int)
            end(own)
            for _ in range(50):
                posts.call(int)
            own.start()
        eventually(lambda: own.python(counted) == 200, 20, lambda: own.python(counted))
    finally:
        agent.stop()


def test_no_new_connection_is_taken_meanwhile(own: Embedded) -> None:
    assert own.process is not None
    with httpx.Client(trust_env=False) as kept:
        assert kept.get(f"{own.url}/healthz").status_code == 200
        own.process.process.send_signal(signal.SIGTERM)
        with pytest.raises(httpx.HTTPError):
            while True:
                httpx.get(f"{own.url}/healthz", trust_env=False)
    own.process.process.wait(ENDED_S)
    with pytest.raises(httpx.ConnectError):
        http.get(own.url)


# -- The registry alone --------------------------------------------------------------------------


async def test_everybody_is_told_even_after_one_that_fails() -> None:
    connections = Connections()
    counters: list[int] = []

    def enter(fails: bool) -> None:
        async def leave() -> None:
            counters.append(number)
            if fails:
                raise ConnectionResetError
            connections.remove(number)

        number = connections.add(leave)

    for fails in (False, True, False):
        enter(fails)
    assert await connections.drain(0.1) == 1
    assert counters == [1, 2, 3]


async def test_one_that_hangs_takes_no_longer_than_there_is_time() -> None:
    connections = Connections()

    async def never() -> None:
        await asyncio.Event().wait()

    connections.add(never)
    async with asyncio.timeout(10):
        assert await connections.drain(0.1) == 1


async def test_who_is_alone_ends_at_once() -> None:
    connections = Connections()
    connections.remove(connections.add(asyncio.Event().wait))  # type: ignore[arg-type]
    async with asyncio.timeout(10):
        assert await connections.drain(60) == 0
