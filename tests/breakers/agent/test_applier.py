"""The desired state becomes the state of the breakers, as often as it is told."""

from __future__ import annotations

import pytest

from breakers import CircuitBreaker, Registry, State, TransitionRecord
from breakers.agent.applier import Applier
from breakers.protocol import messages as wire
from breakers.testing import FakeClock


class House:
    """A registry, an applier and a clock."""

    def __init__(self, instance: str = "web-1") -> None:
        self.clock = FakeClock()
        self.registry = Registry()
        self.applier = Applier(self.registry.all, wire.Instance(instance), self.clock.monotonic)
        self.registry.on_create(self.applier.created)
        self.moves: list[TransitionRecord] = []

    def breaker(self, name: str = "posts") -> CircuitBreaker:
        made = CircuitBreaker(name=name, registry=self.registry, clock=self.clock)
        made.add_listener(self.moves.append)
        return made

    def desire(
        self,
        *overrides: wire.Override,
        policies: list[wire.PolicyItem] | None = None,
        revision: int = 1,
    ) -> list[wire.AckItem]:
        return self.applier.take(wire.Desired(revision, list(overrides), policies or []))


@pytest.fixture
def house() -> House:
    return House()


def test_an_override_is_applied_and_lifted_when_it_is_gone(house: House) -> None:
    posts = house.breaker()
    house.desire(wire.Override("o1", "posts", "forced_open"))
    assert posts.state is State.FORCED_OPEN
    house.desire()
    assert posts.state is State.HALF_OPEN


def test_told_again_it_changes_nothing(house: House) -> None:
    posts = house.breaker()
    override = wire.Override("o1", "posts", "metrics_only", expires_in_s=60.0)
    house.desire(override)
    before = posts.snapshot().override
    house.clock.advance(0.4)
    assert house.desire(wire.Override("o1", "posts", "metrics_only", expires_in_s=59.8)) == [
        wire.AckItem("override", "posts", "applied", "o1")
    ]
    assert posts.snapshot().override is before
    assert len(house.moves) == 1


def test_an_expiry_counts_here_by_duration(house: House) -> None:
    posts = house.breaker()
    house.desire(wire.Override("o1", "posts", "forced_open", expires_in_s=60.0))
    house.clock.advance(59.9)
    assert posts.snapshot().state is State.FORCED_OPEN
    house.clock.set_wall(0.0)
    house.clock.advance(0.2)
    assert posts.snapshot().state is State.HALF_OPEN


def test_an_expired_override_that_the_dashboard_still_tells_of_does_not_flicker(
    house: House,
) -> None:
    posts = house.breaker()
    house.desire(wire.Override("o1", "posts", "forced_open", expires_in_s=60.0))
    house.clock.advance(60.0)
    house.desire(wire.Override("o1", "posts", "forced_open", expires_in_s=0.3))
    assert posts.snapshot().state is State.HALF_OPEN


def test_a_changed_expiry_takes_effect(house: House) -> None:
    posts = house.breaker()
    house.desire(wire.Override("o1", "posts", "forced_open", expires_in_s=60.0))
    house.desire(wire.Override("o1", "posts", "forced_open", expires_in_s=600.0))
    house.clock.advance(100.0)
    assert posts.snapshot().state is State.FORCED_OPEN
    assert len(house.moves) == 1


def test_another_override_takes_the_place_of_the_first(house: House) -> None:
    posts = house.breaker()
    house.desire(wire.Override("o1", "posts", "forced_open"))
    house.desire(wire.Override("o2", "posts", "forced_closed"))
    in_force = posts.snapshot().override
    assert in_force is not None
    assert (in_force.state, in_force.id) == (State.FORCED_CLOSED, "o2")


def test_of_two_overrides_at_once_the_last_counts_and_the_first_is_refused(house: House) -> None:
    posts = house.breaker()
    items = house.desire(
        wire.Override("o1", "posts", "forced_open"), wire.Override("o2", "posts", "forced_closed")
    )
    assert posts.state is State.FORCED_CLOSED
    assert [(item.id, item.status) for item in items] == [("o1", "refused"), ("o2", "applied")]


def test_only_the_instances_it_names_obey(house: House) -> None:
    posts, users = house.breaker("posts"), house.breaker("users")
    items = house.desire(
        wire.Override("o1", "posts", "forced_open", instances=["web-2"]),
        wire.Override("o2", "users", "forced_open", instances=["web-2", "web-1"]),
        policies=[wire.PolicyItem("posts", {"retries": 9}, instances=["web-2"])],
    )
    assert (posts.state, users.state) == (State.CLOSED, State.FORCED_OPEN)
    assert posts.policy.retries == 3
    assert [item.breaker for item in items] == ["users"]


def test_an_override_that_code_set_is_left_alone(house: House) -> None:
    posts = house.breaker()
    posts.set_override("forced_open")
    house.desire()
    assert posts.state is State.FORCED_OPEN


@pytest.mark.parametrize("state", ["ajar", "open", "closed", "", "forced_open\x00", "é" * 500])
def test_an_unknown_state_is_refused_and_changes_nothing(house: House, state: str) -> None:
    posts = house.breaker()
    (item,) = house.desire(wire.Override("o1", "posts", state))
    assert (item.status, item.id) == ("refused", "o1")
    assert len(item.reason) <= 500
    assert posts.state is State.CLOSED


def test_policy_fields_replace_what_code_declares_until_they_are_gone(house: House) -> None:
    posts = house.breaker()
    house.desire(policies=[wire.PolicyItem("posts", {"failure_threshold": 2, "timeout": 0.05})])
    assert (posts.policy.failure_threshold, posts.policy.timeout) == (2, 0.05)
    house.desire()
    assert posts.policy == posts.declared


def test_later_policies_lie_over_earlier_ones(house: House) -> None:
    posts = house.breaker()
    house.desire(
        policies=[
            wire.PolicyItem("posts", {"retries": 5, "timeout": 1.0}),
            wire.PolicyItem("posts", {"retries": 7}, instances=["web-1"]),
        ]
    )
    assert (posts.policy.retries, posts.policy.timeout) == (7, 1.0)


@pytest.mark.parametrize(
    "fields",
    [
        {"retries": 0},
        {"no such field": 1},
        {"timeout": "soon"},
        {"timeout": [1]},
        {"timeout": {"s": 1}},
        {"retries": True},
        {"window_type": ["count"]},
        {"failure_threshold": 10**30},
        {"timeout": float("nan")},
    ],
)
def test_a_bad_policy_is_refused_whole_with_its_reason(
    house: House, fields: dict[str, object]
) -> None:
    posts = house.breaker()
    house.desire(policies=[wire.PolicyItem("posts", {"retries": 5})])
    (item,) = house.desire(policies=[wire.PolicyItem("posts", {"retry_delay": 1.0, **fields})])
    assert item.status == "refused"
    assert item.reason
    assert (posts.policy.retries, posts.policy.retry_delay) == (5, 0.5)


def test_one_refused_item_does_not_hold_up_the_others(house: House) -> None:
    users = house.breaker("users")
    house.breaker("posts")
    house.desire(
        wire.Override("o1", "posts", "ajar"),
        wire.Override("o2", "users", "forced_open"),
    )
    assert users.state is State.FORCED_OPEN


def test_a_breaker_made_later_begins_as_desired_with_what_is_left_of_the_expiry(
    house: House,
) -> None:
    house.desire(
        wire.Override("o1", "posts", "forced_open", expires_in_s=60.0),
        policies=[wire.PolicyItem("posts", {"retries": 5})],
    )
    house.clock.advance(50.0)
    posts = house.breaker()
    assert posts.state is State.FORCED_OPEN
    assert posts.policy.retries == 5
    assert [item.kind for item in house.applier.take_late()] == ["policy", "override"]
    house.clock.advance(10.5)
    assert posts.snapshot().state is State.HALF_OPEN


def test_a_breaker_made_after_the_expiry_is_not_forced(house: House) -> None:
    house.desire(wire.Override("o1", "posts", "forced_open", expires_in_s=60.0))
    house.clock.advance(61.0)
    assert house.breaker().state is State.CLOSED


def test_for_a_child_what_is_left_counts_from_now(house: House) -> None:
    house.desire(
        wire.Override("o1", "posts", "forced_open", expires_in_s=60.0),
        wire.Override("o2", "users", "forced_open", expires_in_s=5.0),
        wire.Override("o3", "social", "forced_open"),
    )
    house.clock.advance(10.0)
    left = house.applier.remaining()
    assert left is not None
    assert [(each.id, each.expires_in_s) for each in left.overrides] == [
        ("o1", 50.0),
        ("o3", 7 * 86_400 - 10.0),
    ]
