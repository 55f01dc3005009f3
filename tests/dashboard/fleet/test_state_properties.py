"""Properties of the fleet's state that hold for all reports."""

from __future__ import annotations

import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from breakers.protocol import messages as wire
from breakers.protocol.codec import MSGPACK
from tests.dashboard.fleet.reporting import NOW, Fleet, report


@settings(max_examples=60, deadline=None)
@given(
    reports=st.lists(
        st.tuples(
            st.sampled_from(["one", "two", "three"]),
            st.integers(0, 50),
            st.integers(0, 50),
            st.floats(0, 500),
        ),
        max_size=30,
    ),
    seed=st.integers(0, 2**16),
)
def test_counts_are_the_same_however_often_each_report_comes(
    reports: list[tuple[str, int, int, float]], seed: int
) -> None:
    """Every report once or more, in its instance's order, as a connection delivers them."""
    chance = random.Random(seed)
    fleet = Fleet()
    seqs: dict[str, int] = {}
    expected = {"success": 0, "failure": 0}
    sent: list[wire.Report] = []
    for instance, success, failure, age in reports:
        seqs[instance] = seqs.get(instance, 0) + 1
        counts = wire.Counts(success=success, failure=failure)
        sent.append(report(instance, seqs[instance], counts=counts, age_s=age))
        expected["success"] += success
        expected["failure"] += failure
        fleet.fold(sent[-1])
        while chance.random() < 0.4:
            fleet.fold(chance.choice(sent))
    fleet.state.flush(fleet.batch)
    for name, total in expected.items():
        counted = sum(delta.counts.get(name, 0) for delta in fleet.batch.deltas.values())
        assert counted == total
    assert fleet.batch.cursors == {("shop", name, "b"): seq for name, seq in seqs.items()}


breaker_reports = st.builds(
    wire.BreakerReport,
    name=st.text(
        st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1, max_size=9
    ),
    state=st.sampled_from(["closed", "open", "half_open", "forced_open"]),
    since_s=st.floats(0, 1e9),
    counts=st.builds(wire.Counts, success=st.integers(0, 2**40), slow=st.integers(0, 2**40)),
    histogram=st.builds(
        wire.Histogram,
        buckets=st.dictionaries(st.integers(-10_000, 10_000), st.integers(0, 2**40)),
        sum_s=st.floats(0, 1e9),
    ),
    in_flight=st.integers(0, 2**40),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(breaker_reports, max_size=5), st.floats(0, 1e9), st.floats(0.001, 86_400))
def test_whatever_the_gate_takes_the_fleet_can_show(
    breakers: list[wire.BreakerReport], age_s: float, interval_s: float
) -> None:
    sent = wire.Report(
        service="shop",
        instance=wire.Instance(id="one"),
        boot="b",
        seq=1,
        interval_s=interval_s,
        age_s=age_s,
        breakers=breakers,
    )
    try:
        taken = MSGPACK.from_agent(MSGPACK.encode(sent))
    except wire.WireError:
        return
    fleet = Fleet()
    fleet.fold(taken)
    fleet.state.advance(NOW + 1)
    msgspec.json.encode(list(fleet.state.full_frames(NOW + 1)))
