"""Bad configuration fails at the start, naming what to change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from breakers import Registry
from breakers.agent import AgentConfig, AgentConfigError, start
from breakers.agent.config import read_config

GOOD: dict[str, Any] = {"url": "wss://dash.example", "token": "t", "service": "shop"}


def read(**changes: Any) -> AgentConfig:
    config = read_config(**{**GOOD, "environ": {}, **changes})
    assert config is not None
    return config


def test_without_a_url_there_is_nothing_to_do() -> None:
    assert read_config(environ={}) is None
    agent = start(registry=Registry())
    assert not agent.is_running
    assert agent.stop()
    assert agent.status().running is False


@pytest.mark.parametrize(
    ("url", "socket"),
    [
        ("ws://localhost", "ws://localhost/agent/v1"),
        ("wss://dash:8443/", "wss://dash:8443/agent/v1"),
        ("http://127.0.0.1/base", "ws://127.0.0.1/base/agent/v1"),
        ("https://dash/agent/v1", "wss://dash/agent/v1"),
        ("ws://[::1]:8000", "ws://[::1]:8000/agent/v1"),
    ],
)
def test_an_address_may_be_written_in_several_ways(url: str, socket: str) -> None:
    assert read(url=url).socket_url == socket


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"url": "ftp://dash"}, "SWITCHGEAR_URL"),
        ({"url": "dash.example"}, "SWITCHGEAR_URL"),
        ({"url": "ws://"}, "SWITCHGEAR_URL"),
        ({"url": "ws://dash:no"}, "SWITCHGEAR_URL"),
        ({"url": "ws://me:secret@dash"}, "SWITCHGEAR_URL"),
        ({"token": None}, "SWITCHGEAR_TOKEN"),
        ({"token": "two words"}, "SWITCHGEAR_TOKEN"),
        ({"token": "a\nb"}, "SWITCHGEAR_TOKEN"),
        ({"token": None, "environ": {"SWITCHGEAR_TOKEN_FILE": "/no/such"}}, "TOKEN_FILE"),
        ({"service": None}, "SWITCHGEAR_SERVICE"),
        ({"service": "a\nb"}, "SWITCHGEAR_SERVICE"),
        ({"instance": "x" * 121}, "SWITCHGEAR_INSTANCE"),
        ({"state_dir": "/dev/null/state"}, "SWITCHGEAR_STATE_DIR"),
        ({"interval_s": 0.1}, "interval_s"),
        ({"interval_s": float("nan")}, "interval_s"),
        ({"buffer_bytes": 1}, "buffer_bytes"),
        ({"transport": "pigeon"}, "transport"),
        ({"format": "xml"}, "format"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(AgentConfigError, match=named):
        read(**changes)


def test_the_environment_speaks_where_arguments_do_not(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("from-a-file\n")
    config = read_config(
        service="given",
        environ={
            "SWITCHGEAR_URL": "wss://dash",
            "SWITCHGEAR_TOKEN_FILE": str(secret),
            "SWITCHGEAR_SERVICE": "not this one",
            "SWITCHGEAR_INSTANCE": "web-{pid}",
            "SWITCHGEAR_STATE_DIR": str(tmp_path / "state"),
        },
    )
    assert config is not None
    assert (config.service, config.token) == ("given", "from-a-file")
    assert config.instance_of(7) == "web-7"
    assert config.state_dir == tmp_path / "state"
    assert config.state_dir.is_dir()


def test_no_two_processes_share_a_name_after_a_fork() -> None:
    assert read(instance="web").instance_of(7) == "web"
    assert read(instance="web").instance_of(8, parent=7) == "web-8"
    assert read().instance_of(7).endswith("-7")


def test_the_same_start_twice_is_one_agent_and_another_is_refused() -> None:
    registry = Registry()
    settings: dict[str, Any] = {**GOOD, "url": "ws://127.0.0.1:9", "registry": registry}
    agent = start(**settings)
    try:
        assert start(**settings) is agent
        with pytest.raises(AgentConfigError, match="stop it first"):
            start(**{**settings, "service": "another"})
    finally:
        agent.stop(0.2)
