"""A service with more breakers than are watched of one: its agents hear which, and go on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from breakers import CircuitBreaker, Registry
from breakers.agent import Agent, start
from breakers.protocol import messages as wire
from breakers.protocol.codec import JSON, Codec
from dashboard.access.service_tokens import Grant
from dashboard.api.agents.authentication import Authenticator
from dashboard.api.agents.socket import AgentSocket
from dashboard.control.desired_state import Encoded
from dashboard.fleet.membership import MAX_BREAKERS
from tests.dashboard.api.agents.talking import post, report
from tests.dashboard.api.agents.test_bus_outage import Capacity, Feed, Inbox
from tests.dashboard.api.agents.test_bus_outage import report as a_report
from tests.dashboard.child_process import Dashboard
from tests.examples.running import eventually

SERVICE = "crowd"


@pytest.fixture(scope="module")
def crowd(dashboard: Dashboard) -> str:
    """The token of a service that is full."""
    token = dashboard.token(SERVICE)
    names = [f"b{n}" for n in range(MAX_BREAKERS)]
    assert post(dashboard, token, counters("full", *names)).is_success
    return token


def counters(instance: str, *names: str) -> dict[str, Any]:
    breakers = [{"name": name, "state": "closed", "counts": {"success": 1}} for name in names]
    return report(1, instance, service=SERVICE, instance={"id": instance}, breakers=breakers)


def counted(dashboard: Dashboard, *names: str) -> Any:
    return dashboard.python(
        "from dashboard.history.models import Rollup\n"
        f"rows = Rollup.objects.filter(service='{SERVICE}', breaker__in={list(names)})\n"
        "print(json.dumps(sum(rows.values_list('success', flat=True))))"
    )


@pytest.mark.parametrize("transport", ["websocket", "http"])
class TestAgent:
    @pytest.fixture
    def registry(self) -> Registry:
        return Registry()

    @pytest.fixture
    def agent(
        self,
        dashboard: Dashboard,
        crowd: str,
        registry: Registry,
        transport: str,
        caplog: pytest.LogCaptureFixture,
    ) -> Iterator[Agent]:
        caplog.set_level(logging.WARNING, "breakers.agent")
        running = start(
            url=dashboard.url,
            token=crowd,
            service=SERVICE,
            instance=f"late-{transport}",
            registry=registry,
            transport=transport,
        )
        yield running
        running.stop()

    def test_it_is_told_which_breakers_are_not_watched_and_all_others_count(
        self,
        dashboard: Dashboard,
        registry: Registry,
        agent: Agent,
        transport: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        known = f"b{7 if transport == 'http' else 8}"
        breakers = [CircuitBreaker(name=name, registry=registry) for name in (known, "one more")]
        for _ in range(50):
            for each in breakers:
                each.call(len, "four")
        eventually(lambda: agent.status().over_capacity == ("one more",), 15, agent.status)
        (said,) = (each for each in caplog.messages if "no capacity" in each)
        assert "'one more'. 'crowd' has as many as it watches of one service" in said
        assert agent.stop(timeout_s=5), "all of it is safe: nothing is sent for ever"
        eventually(lambda: counted(dashboard, known) == 51, 10)
        assert counted(dashboard, "one more") == 0


class Knowing(Capacity):
    """It is told what there is no room for."""

    names: Sequence[str] = ()

    def over_capacity(self, service: str, instance: str) -> list[str]:
        return list(self.names) if instance == "i" else []


class Changing(Feed):
    """Something may have changed whenever the test says so."""

    looked = 0

    def listen(self, service: str, event: asyncio.Event) -> None:
        self.changed = event

    async def encoded(
        self, service: str, codec: Codec, over_capacity: list[str], new: str = ""
    ) -> Encoded:
        self.looked += 1
        return await super().encoded(service, codec, over_capacity)

    async def look(self) -> None:
        before = self.looked
        self.changed.set()
        while self.looked == before:
            await asyncio.sleep(0)


@pytest.mark.django_db
async def test_on_a_socket_it_is_told_when_it_changes_under_the_same_revision() -> None:
    sent: list[Any] = []
    heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    capacity, feed = Knowing(), Changing()

    async def send(event: Any) -> None:
        sent.append(event)

    token: Any = Authenticator(lambda token, address: Grant("shop"))
    socket = AgentSocket(Inbox(), token, feed, capacity, heard.get, send)  # type: ignore[arg-type]
    scope = {
        "headers": [(b"authorization", b"Bearer " + b"t" * 40)],
        "subprotocols": ["switchgear.v1.json"],
    }
    heard.put_nowait({"type": "websocket.connect"})
    heard.put_nowait(a_report(1))
    serving = asyncio.create_task(socket.serve(scope))
    async with asyncio.timeout(5):
        while not feed.looked:
            await asyncio.sleep(0)
        for capacity.names in (["x", "y"], ["x", "y"], ["x", "y"], [], []):
            await feed.look()
    heard.put_nowait({"type": "websocket.disconnect"})
    await asyncio.wait_for(serving, 5)
    counters = [JSON.from_server(each["text"].encode()) for each in sent if "text" in each]
    assert counters == [
        wire.Desired(revision=1),
        wire.Desired(revision=1, over_capacity=["x", "y"]),
        wire.Desired(revision=1),
    ]


def test_over_http_the_answer_to_the_next_report_tells(dashboard: Dashboard, crowd: str) -> None:
    def answer() -> wire.Desired:
        desired = JSON.from_server(post(dashboard, crowd, counters("poster", "b2", "z")).content)
        assert isinstance(desired, wire.Desired)
        return desired

    eventually(lambda: answer().over_capacity == ["z"], 5)
