"""The weight of a service on all: one that changes in many places has fewer frames, and loses none
of the changes."""

from __future__ import annotations

from breakers.protocol import messages as wire
from dashboard.fleet.checkpoint_batch import Batch
from dashboard.fleet.state import FleetState

NOW = 1000.0


class Fleet:
    def __init__(self) -> None:
        self.state, self.seq = FleetState(), 0

    def report(self, service: str, breakers: int, state: wire.State, at: float) -> None:
        self.seq += 1
        reported = [wire.BreakerReport(name=f"b{n}", state=state) for n in range(breakers)]
        report = wire.Report(
            service=service, instance=wire.Instance("one"), boot="b", seq=self.seq,
            interval_s=1.0, breakers=reported,
        )  # fmt: skip
        self.state.fold(report, at, Batch())

    def framed(self, at: float) -> dict[str, set[str]]:
        """The services that have a frame now, each with the states that it tells."""
        return {
            frame["service"]: {each["state"] for each in frame["breakers"]}
            for frame in self.state.frames(at)
        }


def test_a_service_with_many_changes_has_a_frame_each_second_and_others_each_tick() -> None:
    fleet = Fleet()
    seen: dict[str, list[float]] = {"large": [], "small": []}
    for tick in range(8):
        at = NOW + tick * 0.25
        state: wire.State = "open" if tick % 2 else "closed"
        fleet.report("large", 500, state, at)
        fleet.report("small", 5, state, at)
        for service in fleet.framed(at):
            seen[service].append(at - NOW)
    assert seen["small"] == [0.25 * tick for tick in range(8)]
    assert seen["large"] == [0.0, 1.0]


def test_what_was_held_back_comes_with_the_next_frame() -> None:
    fleet = Fleet()
    fleet.report("large", 500, "closed", NOW)
    assert fleet.framed(NOW) == {"large": {"closed"}}
    fleet.report("large", 500, "open", NOW + 0.25)
    assert fleet.framed(NOW + 0.25) == {}
    assert fleet.framed(NOW + 1.0) == {"large": {"open"}}
    assert fleet.framed(NOW + 2.0) == {}


def test_a_few_changes_of_a_large_service_come_at_once() -> None:
    fleet = Fleet()
    fleet.report("large", 500, "closed", NOW)
    fleet.framed(NOW)
    fleet.report("large", 3, "open", NOW + 0.25)
    assert fleet.framed(NOW + 0.25) == {"large": {"open"}}
