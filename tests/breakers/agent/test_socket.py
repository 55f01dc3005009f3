"""The running agent against a dashboard that really listens."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakers import CircuitBreaker, CircuitForcedOpen, InjectedFault, Registry, State
from breakers.agent import Agent, start
from breakers.protocol import messages as wire
from breakers.testing import FakeDashboard


@pytest.fixture
def dashboard() -> Iterator[FakeDashboard]:
    with FakeDashboard() as running:
        yield running


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def agent(dashboard: FakeDashboard, registry: Registry) -> Iterator[Agent]:
    running = dashboard.start_agent(registry=registry, instance="web-1", reconnect_max_s=0.2)
    yield running
    running.stop()


def test_calls_arrive_and_an_operators_hand_comes_back(
    dashboard: FakeDashboard, registry: Registry, agent: Agent
) -> None:
    posts = CircuitBreaker(name="posts", registry=registry)
    for _ in range(100):
        posts.call(len, "four")
    dashboard.wait_for(lambda: dashboard.counts("posts").get("success") == 100)
    forced = dashboard.force("posts", "forced_open", expires_in_s=60.0)
    dashboard.wait_for(lambda: dashboard.states("posts") == {"forced_open"})
    assert posts.state is State.FORCED_OPEN
    assert wire.AckItem("override", "posts", "applied", forced) in dashboard.acks[-1].items
    assert dashboard.transitions("posts")[-1].to == "forced_open"


@pytest.mark.parametrize("format", ["msgpack", "json"])
@pytest.mark.parametrize("transport", ["websocket", "http"])
def test_every_transport_and_format_carries_both_flows(
    dashboard: FakeDashboard, registry: Registry, transport: str, format: str
) -> None:
    posts = CircuitBreaker(name="posts", registry=registry)
    agent = dashboard.start_agent(registry=registry, transport=transport, format=format)
    posts.call(len, "four")
    dashboard.force("posts", "forced_closed")
    dashboard.wait_for(lambda: dashboard.states("posts") == {"forced_closed"})
    dashboard.wait_for(lambda: dashboard.acks)
    assert agent.status().link == transport
    assert agent.stop()
    assert dashboard.counts("posts") == {"success": 1}


@pytest.mark.parametrize("transport", ["websocket", "http"])
def test_reports_can_be_packed(
    dashboard: FakeDashboard, registry: Registry, transport: str
) -> None:
    breakers = [CircuitBreaker(name=f"posts {n}", registry=registry) for n in range(20)]
    agent = dashboard.start_agent(registry=registry, transport=transport, compress=True)
    for each in breakers:
        each.call(len, "four")
    dashboard.wait_for(lambda: dashboard.counts("posts 19") == {"success": 1})
    assert agent.stop()
    assert (dashboard.unpacked > 0) == (transport == "http")
    assert dashboard.deflates == (transport == "websocket")


def test_a_dashboard_that_restarts_is_found_again_without_alarm(
    dashboard: FakeDashboard,
    registry: Registry,
    agent: Agent,
    caplog: pytest.LogCaptureFixture,
) -> None:
    posts = CircuitBreaker(name="posts", registry=registry)
    dashboard.wait_for(lambda: dashboard.reports)
    with caplog.at_level(logging.INFO, logger="breakers.agent"):
        dashboard.hand_over()
        posts.call(len, "four")
        dashboard.wait_for(lambda: dashboard.connects == 2)
        dashboard.wait_for(lambda: dashboard.counts("posts") == {"success": 1})
    assert "1012 restarting" in caplog.text
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


def test_where_no_websocket_gets_through_it_reports_over_http(
    dashboard: FakeDashboard, registry: Registry
) -> None:
    dashboard.takes_websockets = False
    agent = dashboard.start_agent(registry=registry)
    dashboard.wait_for(lambda: agent.status().link == "http")
    assert dashboard.posts
    agent.stop()


def test_a_dashboard_that_comes_back_has_the_truth_at_once_and_each_count_once(
    dashboard: FakeDashboard, registry: Registry, agent: Agent
) -> None:
    posts = CircuitBreaker(name="posts", registry=registry)
    dashboard.force("posts", "forced_closed")
    dashboard.wait_for(lambda: dashboard.states("posts") == {"forced_closed"})
    for round_ in range(1, 4):
        dashboard.stop()
        for _ in range(100):
            posts.call(len, "four")
        assert posts.state is State.FORCED_CLOSED
        dashboard.start()
        total = 100 * round_
        dashboard.wait_for(lambda total=total: dashboard.counts("posts").get("success") == total)
    assert agent.stop()
    assert dashboard.counts("posts") == {"success": 300}
    assert [each.to for each in dashboard.transitions("posts")] == ["forced_closed"]


def test_connections_broken_off_again_and_again_lose_and_double_nothing(
    dashboard: FakeDashboard, registry: Registry, agent: Agent
) -> None:
    posts = CircuitBreaker(name="posts", registry=registry)
    for round_ in range(1, 9):
        for _ in range(50):
            posts.call(len, "four")
        dashboard.wait_for(lambda round_=round_: dashboard.connects >= round_)
        dashboard.drop_connections()
    dashboard.wait_for(lambda: dashboard.counts("posts").get("success") == 400)
    assert agent.stop()
    assert dashboard.counts("posts") == {"success": 400}


def test_the_last_report_goes_out_when_it_stops(
    dashboard: FakeDashboard, registry: Registry, agent: Agent
) -> None:
    posts = CircuitBreaker(name="posts", registry=registry)
    dashboard.wait_for(lambda: dashboard.reports)
    posts.call(len, "four")
    assert agent.stop()
    assert dashboard.counts("posts") == {"success": 1}
    assert not agent.is_running


def test_a_wrong_token_is_said_once_naming_the_variable_and_harms_nobody(
    dashboard: FakeDashboard, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    posts = CircuitBreaker(name="posts", registry=registry)
    with caplog.at_level(logging.ERROR, logger="breakers.agent"):
        running = start(url=dashboard.url, token="wrong", service="tested", registry=registry)
        dashboard.wait_for(lambda: running.status().problem)
    assert posts.call(len, "four") == 4
    assert "HTTP 401" in running.status().problem
    assert "SWITCHGEAR_TOKEN" in caplog.text
    running.stop(0.2)


def test_a_dashboard_that_confirms_nothing_delays_stopping_only_so_long(
    dashboard: FakeDashboard, registry: Registry
) -> None:
    dashboard.confirms = False
    agent = dashboard.start_agent(registry=registry)
    dashboard.wait_for(lambda: dashboard.reports)
    assert not agent.stop(0.1)


def test_answers_that_are_not_of_the_protocol_change_nothing(
    dashboard: FakeDashboard, registry: Registry, agent: Agent
) -> None:
    posts = CircuitBreaker(name="posts", registry=registry)
    dashboard.wait_for(lambda: dashboard.reports)
    for lie in (b"\xc1", b"", b"\x80", b"{}", b"\xff" * 70_000):
        before = dashboard.connects
        for connection in list(dashboard._sockets):
            connection.send(lie)
        dashboard.wait_for(lambda before=before: dashboard.connects > before)
    assert posts.call(len, "four") == 4
    dashboard.wait_for(lambda: dashboard.counts("posts").get("success") == 1)
    assert agent.status().errors == 0


@pytest.mark.parametrize("transport", ["websocket", "http"])
def test_a_rotated_token_in_its_file_needs_no_restart(
    dashboard: FakeDashboard,
    registry: Registry,
    transport: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "token"
    file.write_text(dashboard.token)
    monkeypatch.setenv("SWITCHGEAR_TOKEN_FILE", str(file))
    posts = CircuitBreaker(name="posts", registry=registry)
    agent = start(
        url=dashboard.url, service=dashboard.service, registry=registry, transport=transport,
        reconnect_max_s=0.2,
    )  # fmt: skip
    posts.call(len, "four")
    dashboard.wait_for(lambda: dashboard.counts("posts").get("success") == 1)
    file.write_text("the-token-after-it")
    dashboard.token = "the-token-after-it"
    dashboard.drop_connections()
    posts.call(len, "four")
    dashboard.wait_for(lambda: dashboard.counts("posts").get("success") == 2, timeout_s=20.0)
    assert agent.stop()


def test_a_share_and_a_fault_come_over_the_wire_and_are_acknowledged(
    dashboard: FakeDashboard, registry: Registry
) -> None:
    posts = CircuitBreaker(None, name="posts", registry=registry)
    agent = dashboard.start_agent(registry=registry, faults=["posts"])

    def applied() -> set[str]:
        items = [each for ack in dashboard.acks for each in ack.items]
        return {each.id for each in items if each.status == "applied"}

    wanted = {dashboard.force("posts", "forced_partial", share=0.5), dashboard.inject("posts")}
    dashboard.wait_for(lambda: wanted <= applied())
    found = set()
    for _ in range(10):
        try:
            posts.call(int)
        except (CircuitForcedOpen, InjectedFault) as error:
            found.add(type(error))
    assert found == {CircuitForcedOpen, InjectedFault}
    dashboard.stop_faults()
    dashboard.lift("posts")
    dashboard.wait_for(lambda: posts.state is State.CLOSED and posts.call(int) == 0)
    assert agent.stop()
