"""One service's weight on all: budgets for each service, and a named answer at each."""

from __future__ import annotations

import pytest

from breakers.protocol import messages as wire
from dashboard.api.agents.budgets import LIMITS, ServiceBudgets
from dashboard.common.token_bucket import TokenBuckets
from dashboard.fleet import membership
from dashboard.fleet.checkpoint_batch import Batch
from dashboard.fleet.state import FleetState


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def report(
    breakers: int = 1, boot: str = "b", interval_s: float = 1.0, transitions: int = 0
) -> wire.Report:
    changes = [wire.Transition(n, 0.0, "closed", "open", "") for n in range(transitions)]
    return wire.Report(
        service="shop",
        instance=wire.Instance("i"),
        boot=boot,
        seq=1,
        interval_s=interval_s,
        breakers=[
            wire.BreakerReport(name=f"b{n}", state="closed", transitions=changes)
            for n in range(breakers)
        ],
    )


def budgets(clock: Clock) -> ServiceBudgets:
    return ServiceBudgets(now=clock, sleep=clock.sleep)


async def refusal(charging: ServiceBudgets, *reports: wire.Report) -> wire.Refused:
    with pytest.raises(wire.WireError) as refused:
        for each in reports:
            await charging.charge("shop", each, 100)
    return refused.value.refused


async def test_long_intervals_of_many_breakers_are_charged_as_rows() -> None:
    """Ten reports of 590 s with 1,000 breakers held up the receipts of another service."""
    charging = budgets(Clock())
    refused = await refusal(charging, *[report(1000, interval_s=590.0)] * 3)
    assert (refused.code, refused.field) == ("over_budget", "$.interval_s")
    assert "rows of history" in refused.message
    await charging.charge("other", report(20), 100)


async def test_ever_new_boots_are_charged() -> None:
    charging = budgets(Clock())
    refused = await refusal(charging, *[report(boot=f"b{n}") for n in range(60_000)])
    assert (refused.code, refused.field) == ("over_budget", "$.boot")


async def test_a_boot_that_goes_on_is_charged_once() -> None:
    charging = budgets(clock := Clock())
    for _ in range(20_000):
        await charging.charge("shop", report(), 100)
        clock.now += 0.001
    assert clock.slept == []


async def test_transitions_are_charged() -> None:
    refused = await refusal(budgets(Clock()), *[report(100, transitions=60)] * 10)
    assert (refused.code, refused.field) == ("over_budget", "$.breakers")


async def test_a_service_that_owes_little_waits_instead() -> None:
    charging = budgets(clock := Clock())
    burst, rate = LIMITS["breakers"].burst, LIMITS["breakers"].per_s
    for _ in range(int(burst / 1000) + 1):
        await charging.charge("shop", report(1000), 100)
    assert 0 < sum(clock.slept) <= 1000 / rate + 0.05


async def test_messages_that_wait_are_bounded_in_bytes() -> None:
    charging = budgets(Clock())
    await charging.charge_bytes("shop", int(LIMITS["bytes"].burst) + 1)
    with pytest.raises(wire.WireError, match="bytes of messages"):
        await charging.charge_bytes("shop", 17 * 2**20)


def test_buckets_forget_the_key_that_was_used_longest_ago() -> None:
    buckets = TokenBuckets(1.0, 1.0, keys=2, now=Clock())
    for key in ("a", "b", "c"):
        assert buckets.take(key)
    assert [buckets.take(key) for key in ("c", "b", "a")] == [False, False, True]


def test_pairs_of_instances_and_breakers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "MAX_PAIRS", 100)
    state = FleetState()
    for n in range(20):
        each = report(10, boot=f"b{n}")
        each.instance = wire.Instance(f"i{n}")
        state.fold(each, 1000.0, Batch())
    service = state.services["shop"]
    assert service.pairs == 100
    assert sum(len(each.breakers) for each in service.instances.values()) == 100
    assert service.over_capacity.since(0.0)[1] == 10
    assert service.instances["i19"].over_capacity


def test_acknowledgements_of_made_up_overrides_take_no_memory() -> None:
    state = FleetState()
    state.fold(report(1), 1000.0, Batch())
    for n in range(1000):
        item = wire.AckItem("override", f"made-up-{n}", "refused", f"o{n}", "no")
        state.fold(wire.Ack("shop", "i", 1, [item]), 1000.0, Batch())
        state.fold(wire.Ack("shop", f"nobody-{n}", 1, [item]), 1000.0, Batch())
    assert state.services["shop"].refused == {}
    assert state.services["shop"].dirty_breakers <= {"b0"}
