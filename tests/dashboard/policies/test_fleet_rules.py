"""Quorum rules by layer, warm starts from the snapshot, and the quorum in a what-if."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from breakers.circuit.policy import Policy
from breakers.protocol import messages as wire
from dashboard.access.models import Person
from dashboard.fleet.quorum import QuorumRule
from dashboard.policies import services
from dashboard.policies.fleet_rules import fleet_rules, warm_starts
from dashboard.policies.whatif.history import replay
from dashboard.policies.whatif.recordings import RecordedCall, replay_calls
from dashboard.policies.whatif.slots import Slot
from tests.dashboard.web.showing import showing


@pytest.mark.django_db
class TestRules:
    def test_off_by_default(self, operator: Person) -> None:
        services.save(operator, "shop", "posts", {"timeout": 1.0})
        assert not fleet_rules().has_quorum
        assert fleet_rules().quorum_of("shop", "posts") is None

    def test_fields_come_from_every_layer(self, operator: Person) -> None:
        services.save(operator, "", "", {"quorum_share": 0.5, "quorum_hold": 60.0})
        services.save(operator, "shop", "", {"quorum_zones": 2})
        services.save(operator, "shop", "posts", {"quorum_share": 0.75})
        services.save(operator, "shop", "ads", {"quorum_share": None})
        rules = fleet_rules()
        assert rules.quorum_of("shop", "posts") == QuorumRule(0.75, 2, 2, 10.0, 60.0)
        assert rules.quorum_of("shop", "other") == QuorumRule(0.5, 2, 2, 10.0, 60.0)
        assert rules.quorum_of("shop", "ads") is None
        assert rules.quorum_of("pay", "bank") == QuorumRule(0.5, 2, 1, 10.0, 60.0)


@pytest.mark.django_db
class TestWarmStarts:
    @pytest.fixture
    def show(self) -> Iterator[Callable[..., None]]:
        with showing() as show:
            for name in ("one", "two", "three"):
                state = "closed" if name == "three" else "open"
                posts, ads = wire.BreakerReport("posts", state), wire.BreakerReport("ads", "closed")
                show("shop", posts, ads, instance=name)
            yield show

    def test_a_new_instance_is_told_what_is_open(
        self, show: Callable[..., None], operator: Person
    ) -> None:
        services.note_declared({"shop": {"posts": {"timeout_duration": 1e9}}})
        (found,) = warm_starts("shop", "new")
        assert (found.breaker, found.reason) == ("posts", "2 of the other 3 instances are open")
        assert warm_starts("pay", "new") == []

    @pytest.mark.parametrize("fields", [{"warm_start": None}, {"warm_start": 0.9}])
    def test_a_policy_decides(
        self, show: Callable[..., None], operator: Person, fields: dict[str, float | None]
    ) -> None:
        services.save(operator, "shop", "", fields)
        assert warm_starts("shop", "new") == []


class TestWhatIf:
    def test_a_quorum_opens_the_instances_that_have_not_seen_it(self) -> None:
        calls = [
            RecordedCall(1.0 + n / 100, name, "failure" if name != "d" else "success", 0.01)
            for n in range(20)
            for name in "abcd"
        ]
        policy = Policy(timeout_duration=60.0)
        alone = replay_calls(calls, policy, 70.0)
        together = replay_calls(calls, policy, 70.0, QuorumRule(0.75, hold_s=30.0))
        assert (alone.quorum_trips, together.quorum_trips) == (0, 1)
        assert together.rejected > alone.rejected
        assert any("forced_open" in {p.state for p in s.pieces} for s in together.strips)

    def test_history_knows_it_too(self) -> None:
        slots = [Slot(10.0 * n, success=40) for n in range(3)]
        slots += [Slot(30.0 + 10.0 * n, success=24, failure=16) for n in range(6)]
        policy = Policy(failure_threshold=3, timeout_duration=60.0, open_jitter=0.0)
        alone = replay(slots, policy, 4)
        together = replay(slots, policy, 4, rule=QuorumRule(0.5))
        assert (alone.quorum_trips, together.quorum_trips) == (0, 1)
        assert together.rejected > alone.rejected
