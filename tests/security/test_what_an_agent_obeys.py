"""What an agent obeys is bounded by its own code, whatever the dashboard says."""

from __future__ import annotations

from typing import Any

import pytest

from breakers import CircuitBreaker, Registry, State
from breakers.agent.applier import Applier
from breakers.agent.config import AgentConfigError, read_config
from breakers.agent.obedience import read_obey
from breakers.protocol import messages as wire
from breakers.protocol.ageing import MAX_OVERRIDE_S, aged


class Agent:
    """An applier with one breaker and a clock of its own."""

    def __init__(self, obey: Any = None) -> None:
        self.registry = Registry()
        self.breaker = CircuitBreaker(name="posts", registry=self.registry)
        self.now = 1000.0
        self.applier = Applier(
            self.registry.all, wire.Instance("i"), lambda: self.now, read_obey(obey)
        )

    def obeyed(self, **changes: Any) -> list[wire.AckItem]:
        return self.applier.take(wire.Desired(revision=1, **changes))

    def policy(self, **fields: Any) -> wire.AckItem:
        (item,) = self.obeyed(policies=[wire.PolicyItem("posts", fields)])
        return item

    def override(self, state: str, expires_in_s: float | None = 60.0) -> wire.AckItem:
        (item,) = self.obeyed(overrides=[wire.Override("o", "posts", state, None, expires_in_s)])
        return item


def test_a_policy_that_would_make_a_storm_is_refused() -> None:
    agent = Agent()
    item = agent.policy(timeout=0.001, retries=20, retry_delay=0.0)
    assert item.status == "refused"
    assert "timeout is 0.001; this process obeys at least 0.01" in item.reason
    assert dict(agent.breaker.remote) == {}
    assert "need a pause" in agent.policy(retries=8, retry_delay=0.0).reason
    assert agent.policy(retries=3, retry_delay=0.0).status == "applied"


def test_floor_and_ceiling_by_field() -> None:
    agent = Agent({"timeout": (0.1, 30.0), "retries": (None, 4)})
    assert agent.policy(timeout=0.05).status == "refused"
    assert agent.policy(timeout=31.0).reason == (
        "timeout is 31; this process obeys 0.1 to 30 (obey=)"
    )
    assert agent.policy(retries=5).status == "refused"
    assert agent.policy(timeout=0.1, retries=4).status == "applied"


def test_nothing_of_a_refused_policy_is_applied() -> None:
    agent = Agent({"timeout": (0.1, None)})
    assert agent.policy(timeout=0.05, failure_threshold=3).status == "refused"
    assert agent.breaker.policy.failure_threshold == 5


def test_report_only_obeys_nothing() -> None:
    agent = Agent("report-only")
    assert "only reports" in agent.override("forced_open").reason
    assert "only reports" in agent.policy(failure_threshold=3).reason
    assert agent.breaker.state is State.CLOSED


def test_states_that_may_not_be_forced() -> None:
    agent = Agent({"overrides": ["metrics_only"]})
    assert agent.override("forced_open").status == "refused"
    assert agent.override("metrics_only").status == "applied"


@pytest.mark.parametrize("expires_in_s", [None, 1e9])
def test_no_override_lasts_longer_than_seven_days(expires_in_s: float | None) -> None:
    agent = Agent()
    assert agent.override("forced_open", expires_in_s).status == "applied"
    assert agent.applier.wanted is not None
    assert agent.applier.wanted.overrides["posts"].until == agent.now + MAX_OVERRIDE_S
    agent.now += MAX_OVERRIDE_S + 1
    left = agent.applier.remaining()
    assert left is not None
    assert left.overrides == []


def test_an_override_without_an_expiry_ages_like_any_other() -> None:
    endless = wire.Desired(1, [wire.Override("o", "posts", "forced_open")])
    (left,) = aged(endless, 86_400.0).overrides
    assert left.expires_in_s == 6 * 86_400.0
    assert aged(endless, 7 * 86_400.0).overrides == []


@pytest.mark.parametrize(
    ("obey", "named"),
    [
        ("nothing", "'report-only'"),
        ({"timeouts": (1, 2)}, "'timeouts'"),
        ({"timeout": 3}, "(floor, ceiling)"),
        ({"timeout": (2, 1)}, "floor is above"),
        ({"timeout": (True, 1)}, "each a number"),
        ({"overrides": ["closed"]}, "must be a list of"),
    ],
)
def test_bad_bounds_are_refused_at_the_start(obey: Any, named: str) -> None:
    with pytest.raises(AgentConfigError, match="SWITCHGEAR_OBEY") as refused:
        read_config(url="wss://d", token="t" * 40, service="s", obey=obey, environ={})
    assert named in str(refused.value)


@pytest.mark.parametrize("url", ["ws://dash", "http://10.0.0.8:8000", "ws://[fe80::1]"])
def test_a_token_does_not_travel_unencrypted_unless_asked_for_by_name(url: str) -> None:
    settings: dict[str, Any] = {"token": "t" * 40, "service": "s"}
    with pytest.raises(AgentConfigError, match="SWITCHGEAR_ALLOW_PLAINTEXT=1"):
        read_config(url=url, environ={}, **settings)
    assert read_config(url=url, environ={"SWITCHGEAR_ALLOW_PLAINTEXT": "1"}, **settings)
    assert read_config(url=url, allow_plaintext=True, environ={}, **settings)
    for local in ("ws://localhost:8000", "http://127.0.0.1", "ws://[::1]:8000"):
        assert read_config(url=local, environ={}, **settings)
