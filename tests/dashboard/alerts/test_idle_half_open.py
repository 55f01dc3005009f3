"""Half-open for ever where nobody calls: it raises no alarm, and one that is called does."""

from __future__ import annotations

from typing import Any

import pytest

from breakers.protocol import messages as wire
from dashboard.alerts.facts import facts_of
from dashboard.alerts.runner import Runner
from dashboard.bus.memory import MemoryBus
from dashboard.fleet.checkpoint_batch import Batch
from dashboard.fleet.recent_window import SECONDS
from dashboard.fleet.snapshot.store import FleetSnapshot
from dashboard.fleet.state import FleetState

NOW = 1000.0


class Fleet:
    """One instance with a half-open breaker, and what the alerts make of it."""

    def __init__(self) -> None:
        self.state, self.seq = FleetState(), 0
        self.snapshot = FleetSnapshot(MemoryBus(), is_running=True)
        self.runner = Runner(self.snapshot)

    def report(self, at: float, successes: int = 0) -> None:
        self.seq += 1
        counts = wire.Counts(success=successes)
        report = wire.Report(
            service="shop", instance=wire.Instance("one"), boot="b", seq=self.seq, interval_s=1.0,
            breakers=[wire.BreakerReport(name="posts", state="half_open", counts=counts)],
        )  # fmt: skip
        self.state.fold(report, at, Batch())
        self.state.advance(at + 0.5)

    def half_open(self, at: float) -> list[float | None]:
        """Since when rules see it half-open, where its facts have changed."""
        for frame in self.state.frames(at):
            self.snapshot.merge(frame)
        return [facts.half_open for facts in self.runner.collect().values() if facts is not None]


def test_it_stops_to_count_as_half_open_once_it_is_idle_and_counts_again_when_called() -> None:
    fleet = Fleet()
    fleet.report(NOW, successes=1)
    (since,) = fleet.half_open(NOW + 1)
    assert since is not None
    idle = NOW + SECONDS + 10
    fleet.report(idle)
    assert fleet.half_open(idle + 1) == [None]
    fleet.report(idle + 5, successes=1)
    (since,) = fleet.half_open(idle + 7)
    assert since is not None


@pytest.mark.parametrize("is_idle", [True, False])
def test_a_rule_sees_only_one_that_is_called(is_idle: bool) -> None:
    fleet = Fleet()
    fleet.report(NOW, successes=1)
    fleet.half_open(NOW + 1)
    view: Any = fleet.snapshot.breaker("shop", "posts")
    view = {**view, "idle_half_open": is_idle}
    facts = facts_of(view, fleet.snapshot.services["shop"])
    assert (facts.half_open is None) == is_idle
    assert facts.live == 1
