"""A process that was replaced does not look ill; one that was not does."""

from __future__ import annotations

from breakers.protocol import messages as wire
from dashboard.fleet.checkpoint_batch import Batch
from dashboard.fleet.state import FleetState

NOW = 1000.0


class Fleet:
    def __init__(self) -> None:
        self.state = FleetState()
        self.seq = 0

    def report(self, id: str, at: float, host: str = "web-1", leaving: bool = False) -> None:
        self.seq += 1
        report = wire.Report(
            service="shop", instance=wire.Instance(id, host), boot=id, seq=self.seq,
            interval_s=1.0, leaving=leaving,
            breakers=[wire.BreakerReport(name="posts", state="closed")],
        )  # fmt: skip
        self.state.fold(report, at, Batch())

    def shown(self, at: float) -> dict[str, bool]:
        """Each instance, and whether it is stale."""
        self.state.advance(at)
        return {id: each.stale for id, each in self.state.services["shop"].instances.items()}


def test_a_goodbye_leaves_nothing() -> None:
    fleet = Fleet()
    fleet.report("one", NOW)
    fleet.report("two", NOW)
    fleet.report("one", NOW + 1, leaving=True)
    assert fleet.shown(NOW + 1) == {"two": False}


def test_a_killed_worker_that_its_supervisor_has_replaced_is_forgotten_when_it_falls_silent() -> (
    None
):
    fleet = Fleet()
    fleet.report("one", NOW)
    fleet.report("two", NOW + 2)
    assert fleet.shown(NOW + 2) == {"one": False, "two": False}
    fleet.report("two", NOW + 4)
    assert fleet.shown(NOW + 4) == {"two": False}


def test_a_successor_replaces_one_process_only() -> None:
    fleet = Fleet()
    fleet.report("one", NOW)
    fleet.report("two", NOW)
    fleet.report("three", NOW + 2)
    fleet.report("three", NOW + 4)
    shown = fleet.shown(NOW + 4)
    assert sorted(shown.values()) == [False, True]
    assert len(shown) == 2


def test_neighbours_that_ran_before_and_other_hosts_are_no_successors() -> None:
    fleet = Fleet()
    fleet.report("neighbour", NOW - 10)
    fleet.report("one", NOW)
    fleet.report("elsewhere", NOW + 2, host="web-2")
    for id, host in (("neighbour", "web-1"), ("elsewhere", "web-2")):
        fleet.report(id, NOW + 4, host)
    assert fleet.shown(NOW + 4) == {"neighbour": False, "one": True, "elsewhere": False}


def test_one_that_was_there_before_the_last_report_is_no_successor() -> None:
    fleet = Fleet()
    fleet.report("one", NOW)
    fleet.report("two", NOW + 0.5)
    fleet.report("one", NOW + 1)
    fleet.report("two", NOW + 5)
    assert fleet.shown(NOW + 5) == {"one": True, "two": False}


def test_without_a_host_nobody_is_replaced() -> None:
    fleet = Fleet()
    fleet.report("one", NOW, host="")
    fleet.report("two", NOW + 2, host="")
    fleet.report("two", NOW + 4, host="")
    assert fleet.shown(NOW + 4) == {"one": True, "two": False}
