"""An agent injects faults where the code of its service allows it, and for as long as it allows."""

from __future__ import annotations

from typing import Any

import pytest

from breakers import CircuitBreaker, InjectedFault, Registry
from breakers.agent.applier import Applier
from breakers.agent.config import AgentConfigError, read_config
from breakers.agent.obedience import Obedience
from breakers.protocol import messages as wire
from breakers.testing import FakeClock


class House:
    """A process whose code allows faults at posts."""

    def __init__(self, **obedience: Any) -> None:
        self.clock, self.registry = FakeClock(), Registry()
        allowed = Obedience(**({"faults": frozenset({"posts"})} | obedience))
        self.applier = Applier(
            self.registry.all, wire.Instance("web-1"), self.clock.monotonic, allowed
        )
        self.registry.on_create(self.applier.created)
        self.posts, self.users = (
            CircuitBreaker(None, name=name, registry=self.registry, clock=self.clock)
            for name in ("posts", "users")
        )

    def order(self, *orders: wire.FaultOrder) -> list[tuple[str, str, str]]:
        items = self.applier.take(wire.Desired(1, faults=list(orders)))
        return [(each.kind, each.status, each.reason) for each in items]


def order(breaker: str = "posts", **fields: Any) -> wire.FaultOrder:
    given = {"id": "f1", "kind": "error", "expires_in_s": 60.0} | fields
    return wire.FaultOrder(breaker=breaker, **given)


def is_hit(breaker: CircuitBreaker) -> bool:
    try:
        breaker.call(int)
    except InjectedFault:
        return True
    return False


def test_a_fault_is_injected_and_taken_off_when_it_is_gone() -> None:
    house = House()
    assert house.order(order()) == [("fault", "applied", "")]
    assert is_hit(house.posts)
    assert house.order() == []
    assert not is_hit(house.posts)


def test_told_again_it_goes_on_and_its_end_stays_where_it_was() -> None:
    house = House()
    house.order(order())
    house.clock.advance(50.0)
    house.order(order(expires_in_s=10.0))
    house.clock.advance(11.0)
    assert not is_hit(house.posts)


def test_it_ends_after_an_hour_whatever_the_dashboard_says() -> None:
    house = House()
    house.order(order(expires_in_s=1e6))
    house.clock.advance(3599.0)
    assert is_hit(house.posts)
    house.clock.advance(1.0)
    assert not is_hit(house.posts)


def test_a_breaker_that_is_made_later_has_it_too() -> None:
    house = House(faults=frozenset({"late"}))
    house.order(order("late"))
    late = CircuitBreaker(None, name="late", registry=house.registry, clock=house.clock)
    assert is_hit(late)
    assert [each.status for each in house.applier.take_late()] == ["applied"]


@pytest.mark.parametrize(
    ("obedience", "given", "said"),
    [
        ({}, order("users"), "not allowed at users by the code of this process"),
        ({"faults": frozenset()}, order(), "faults="),
        ({"report_only": True}, order(), "only reports"),
        ({"environment": "production"}, order(), "faults_in_production="),
        ({"environment": "Live-eu"}, order(), "faults_in_production="),
        ({}, order(kind="fire"), "there are latency, error, corrupt"),
        ({}, order(expires_in_s=0.0), "over before"),
    ],
)
def test_what_is_not_allowed_is_refused_with_its_reason(
    obedience: dict[str, Any], given: wire.FaultOrder, said: str
) -> None:
    house = House(**obedience)
    ((kind, status, reason),) = house.order(given)
    assert (kind, status) == ("fault", "refused")
    assert said in reason
    assert not is_hit(house.posts)
    assert not is_hit(house.users)


def test_production_is_hit_where_the_code_says_so_twice() -> None:
    house = House(environment="production", faults_in_production=True)
    assert house.order(order()) == [("fault", "applied", "")]


def test_other_instances_are_left_alone() -> None:
    house = House()
    assert house.order(order(instances=["web-2"])) == []
    assert not is_hit(house.posts)


class TestSettings:
    GIVEN = {"url": "ws://localhost:1", "token": "t", "service": "shop"}

    def test_only_code_allows_faults_and_the_environment_says_where_it_runs(self) -> None:
        environ = {"SWITCHGEAR_FAULTS": "posts", "SWITCHGEAR_ENVIRONMENT": "production"}
        config = read_config(**self.GIVEN, environ=environ)
        assert config is not None
        assert config.obedience.faults == frozenset()
        assert config.obedience.environment == "production"

    def test_a_name_that_no_breaker_can_have_is_refused(self) -> None:
        with pytest.raises(AgentConfigError, match="faults"):
            read_config(**self.GIVEN, faults=("",), environ={})
