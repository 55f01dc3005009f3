"""What the fleet is doing now, as reports say it."""

from __future__ import annotations

from breakers.protocol import messages as wire
from dashboard.fleet.frame_types import OverrideInfo
from dashboard.fleet.membership import MAX_BREAKERS
from dashboard.fleet.state import FORGET_AFTER_S
from tests.dashboard.fleet.reporting import NOW, Fleet, _fields, report


class TestStates:
    def test_the_worst_instance_speaks_for_the_breaker(self) -> None:
        fleet = Fleet()
        for n, state in enumerate(("closed", "half_open", "open", "closed")):
            fleet.fold(report(f"i{n}", state=state))
        view = fleet.posts()
        assert view["state"] == "open"
        assert view["states"] == {"closed": 2, "half_open": 1, "open": 1}

    def test_silence_for_three_intervals_is_stale_without_any_report(self) -> None:
        fleet = Fleet()
        fleet.fold(report())
        fleet.state.frames(NOW)
        fleet.state.advance(NOW + 3.0)
        assert fleet.posts(NOW + 3.0)["state"] == "closed"
        fleet.state.advance(NOW + 3.1)
        assert [each["stale"] for each in fleet.state.frames(NOW + 3.1)[0]["instances"]] == [True]
        assert fleet.posts(NOW + 3.1)["state"] == "stale"

    def test_nobody_is_stale_because_the_fleet_is_behind(self) -> None:
        fleet = Fleet()
        fleet.fold(report())
        fleet.state.advance(NOW + 60, heard_until=NOW + 1)
        assert fleet.posts(NOW + 60)["state"] == "closed"
        fleet.state.advance(NOW + 61, heard_until=NOW + 61)
        assert fleet.posts(NOW + 61)["state"] == "stale"

    def test_a_stale_instance_does_not_speak_for_those_that_live(self) -> None:
        fleet = Fleet()
        fleet.fold(report("dead", state="open"))
        fleet.fold(report("alive"), NOW + 5)
        fleet.state.advance(NOW + 5)
        view = fleet.posts(NOW + 5)
        assert view["state"] == "closed"
        assert view["states"] == {"closed": 1, "stale": 1}

    def test_who_comes_back_is_stale_no_more(self) -> None:
        fleet = Fleet()
        fleet.fold(report())
        fleet.state.advance(NOW + 60)
        fleet.fold(report(seq=2), NOW + 60)
        assert fleet.posts(NOW + 60)["state"] == "closed"

    def test_who_is_gone_for_long_is_forgotten_and_said_to_be_removed(self) -> None:
        fleet = Fleet()
        fleet.fold(report("gone"))
        fleet.fold(report("here", breaker="users"))
        fleet.state.frames(NOW)
        later = NOW + FORGET_AFTER_S + 1
        fleet.fold(report("here", seq=2, breaker="users"), later)
        fleet.state.advance(later)
        (frame,) = fleet.state.frames(later)
        assert frame["removed"] == {"breakers": ["posts"], "instances": ["gone"]}

    def test_an_old_slice_of_an_agent_that_was_offline_does_not_turn_back_the_state(self) -> None:
        fleet = Fleet()
        fleet.fold(report(seq=2, state="closed"))
        fleet.fold(report(seq=3, state="open", age_s=120.0))
        assert fleet.posts()["state"] == "closed"

    def test_more_breakers_than_fit_are_turned_away_and_counted(self) -> None:
        fleet = Fleet()
        for n in range(MAX_BREAKERS + 5):
            fleet.fold(report(seq=n + 1, breaker=f"b{n}"))
        (frame,) = fleet.state.frames(NOW)
        assert frame["over_capacity"] == {"instances": 0, "breakers": 5}
        fleet.fold(report(seq=MAX_BREAKERS + 6, breaker="b0"), NOW + 61)
        fleet.state.advance(NOW + 61)
        (frame,) = fleet.state.frames(NOW + 61)
        assert frame["over_capacity"] == {"instances": 0, "breakers": 0}


class TestFigures:
    def test_rate_errors_and_percentiles_are_of_the_last_seconds(self) -> None:
        fleet = Fleet()
        counts = wire.Counts(success=8, failure=1, rejected=1)
        sketch = wire.Histogram(buckets={-30: 9}, sum_s=0.9)
        for second in range(10):
            fleet.fold(report(seq=second + 1, counts=counts, histogram=sketch), NOW - 10 + second)
        view = fleet.posts()
        assert view["rate"] == 10.0
        assert (view["ran"], view["failed"], view["refused"]) == (90, 10, 10)
        assert view["failed_pct"] == 11.11
        assert view["p50_ms"] is not None
        assert 74 < view["p50_ms"] < 82
        assert view["spark"][-10:] == [10] * 10
        assert view["spark_err"][-10:] == [2] * 10

    def test_refused_calls_say_nothing_of_the_dependency(self) -> None:
        fleet = Fleet()
        fleet.fold(report(state="open", counts=wire.Counts(rejected=40)), NOW - 1)
        view = fleet.posts()
        assert (view["failed_pct"], view["refused"], view["rate"]) == (None, 40, 4.0)

    def test_without_calls_there_is_no_share_of_errors(self) -> None:
        fleet = Fleet()
        fleet.fold(report())
        view = fleet.posts()
        assert (view["failed_pct"], view["p99_ms"], view["rate"]) == (None, None, 0.0)

    def test_figures_fade_though_nothing_is_reported(self) -> None:
        fleet = Fleet()
        fleet.fold(report(counts=wire.Counts(success=50)))
        assert fleet.posts(NOW + 2)["rate"] == 5.0
        assert fleet.posts(NOW + 30)["rate"] == 0.0

    def test_the_last_transition_says_where_and_why(self) -> None:
        fleet = Fleet()
        tripped = wire.Transition(1, 0.5, "closed", "open", "5 failures in a row")
        fleet.fold(report("two", state="open", transitions=[tripped]))
        last = fleet.posts()["last"]
        assert last == {
            "at": NOW - 0.5,
            "before": "closed",
            "after": "open",
            "cause": "5 failures in a row",
            "instance": "two",
        }


class TestFrames:
    def test_only_what_changed_is_in_a_frame(self) -> None:
        fleet = Fleet()
        fleet.fold(report("one"))
        fleet.fold(report("two", breaker="users"))
        assert len(fleet.state.frames(NOW)[0]["breakers"]) == 2
        assert fleet.state.frames(NOW) == []
        fleet.fold(report("two", seq=2, breaker="users", state="open"))
        (frame,) = fleet.state.frames(NOW)
        assert [each["name"] for each in frame["breakers"]] == ["users"]
        assert frame["instances"] == []

    def test_when_an_instance_was_heard_of_is_told_once_a_second(self) -> None:
        fleet = Fleet()
        fleet.state.advance(NOW)
        fleet.fold(report("one"))
        fleet.fold(report("two"))
        assert [each["id"] for each in fleet.state.frames(NOW)[0]["instances"]] == ["one", "two"]
        fleet.fold(report("two", seq=2), NOW + 0.5)
        fleet.state.advance(NOW + 0.5)
        assert fleet.state.frames(NOW + 0.5) == []
        fleet.state.advance(NOW + 1)
        (frame,) = fleet.state.frames(NOW + 1)
        assert [(each["id"], each["seen_at"]) for each in frame["instances"]][-1] == (
            "two",
            NOW + 0.5,
        )

    def test_a_breaker_brings_only_the_instances_that_changed_at_it(self) -> None:
        fleet = Fleet()
        fleet.fold(report("one"))
        fleet.fold(report("two"))
        fleet.state.frames(NOW)
        fleet.fold(report("one", seq=2))
        fleet.fold(report("two", seq=2, state="open"))
        (frame,) = fleet.state.frames(NOW)
        (view,) = frame["breakers"]
        assert view["states"] == {"closed": 1, "open": 1}
        assert [each["id"] for each in view["instances"]] == ["two"]
        (full,) = fleet.state.full_frames(NOW)
        assert [each["id"] for each in full["breakers"][0]["instances"]] == ["one", "two"]

    def test_calls_in_flight_are_told_once_a_second(self) -> None:
        fleet = Fleet()
        fleet.state.advance(NOW)
        fleet.fold(report())
        fleet.state.frames(NOW)
        busy = report(seq=2)
        busy.breakers[0].in_flight = 7
        fleet.fold(busy)
        fleet.state.advance(NOW + 0.5)
        assert fleet.state.frames(NOW + 0.5) == []
        fleet.state.advance(NOW + 1)
        (frame,) = fleet.state.frames(NOW + 1)
        assert frame["breakers"][0]["instances"][0]["in_flight"] == 7

    def test_frames_of_a_service_are_numbered_without_gaps(self) -> None:
        fleet = Fleet()
        seqs = []
        for seq in range(1, 6):
            fleet.fold(report(seq=seq, state=("open", "closed")[seq % 2]))
            seqs += [frame["seq"] for frame in fleet.state.frames(NOW)]
        seqs += [frame["seq"] for frame in fleet.state.full_frames(NOW)]
        assert seqs == [1, 2, 3, 4, 5, 6]


class TestOverrides:
    info = OverrideInfo(
        "x", "shop", "posts", None, "forced_open", "a drill", "ops", revision=5, expires_at=NOW + 60
    )

    def progress(self, fleet: Fleet) -> tuple[int, int]:
        override = fleet.posts()["override"]
        assert override is not None
        return override["applied"], override["total"]

    def test_an_instance_has_applied_it_when_it_says_so_and_does_so(self) -> None:
        fleet = Fleet()
        for name in ("one", "two"):
            fleet.fold(report(name, revision=4))
        fleet.state.set_overrides([self.info])
        assert self.progress(fleet) == (0, 2)
        ack = wire.Ack(service="shop", instance="one", revision=5)
        fleet.fold(ack)
        assert self.progress(fleet) == (0, 2), "said, not yet done"
        fleet.fold(report("one", seq=2, state="forced_open", revision=5))
        assert self.progress(fleet) == (1, 2)
        fleet.fold(report("two", seq=2, state="forced_open", revision=6))
        assert self.progress(fleet) == (2, 2)

    def test_a_refusal_is_shown_with_its_reason(self) -> None:
        fleet = Fleet()
        fleet.fold(report("one"))
        fleet.state.set_overrides([self.info])
        item = wire.AckItem("override", "posts", "refused", "x", "unknown state")
        fleet.fold(wire.Ack(service="shop", instance="one", revision=5, items=[item]))
        override = fleet.posts()["override"]
        assert override is not None
        assert override["refused"] == [{"instance": "one", "reason": "unknown state"}]
        assert override["pending"] == []

    def test_only_the_instances_it_names_are_waited_for(self) -> None:
        fleet = Fleet()
        for name in ("one", "two"):
            fleet.fold(report(name))
        some = OverrideInfo(**{**_fields(self.info), "instances": ["two"]})
        fleet.state.set_overrides([some])
        assert self.progress(fleet) == (0, 1)

    def test_nobody_waits_for_the_dead(self) -> None:
        fleet = Fleet()
        fleet.fold(report("dead"))
        fleet.fold(report("alive"), NOW + 10)
        fleet.state.advance(NOW + 10)
        fleet.state.set_overrides([self.info])
        override = fleet.posts(NOW + 10)["override"]
        assert override is not None
        assert override["total"] == 1

    def test_lifting_it_is_a_change(self) -> None:
        fleet = Fleet()
        fleet.fold(report())
        fleet.state.set_overrides([self.info])
        fleet.state.frames(NOW)
        fleet.state.set_overrides([])
        (frame,) = fleet.state.frames(NOW)
        assert frame["breakers"][0]["override"] is None
