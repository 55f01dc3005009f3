"""Merging keeps every count; splitting keeps every breaker."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from breakers.agent.slices import merge, pack, split
from breakers.protocol import messages as wire

counts = st.builds(
    wire.Counts, success=st.integers(0, 10**6), failure=st.integers(0, 99), retry=st.integers(0, 9)
)
histograms = st.builds(
    wire.Histogram,
    buckets=st.dictionaries(st.integers(-160, 136), st.integers(1, 10**6), max_size=12),
    sum_s=st.floats(0, 1e6),
)
transitions = st.builds(
    wire.Transition,
    id=st.integers(1, 1000),
    ago_s=st.floats(0, 100),
    from_=st.just("closed"),
    to=st.just("open"),
    cause=st.just("5 failures in a row"),
)
breaker_reports = st.builds(
    wire.BreakerReport,
    name=st.sampled_from(["posts", "users", "social"]),
    state=st.sampled_from(["open", "closed"]),
    since_s=st.floats(0, 1e6),
    counts=counts,
    histogram=histograms,
    transitions=st.lists(transitions, max_size=40),
)
slices = st.lists(breaker_reports, max_size=3, unique_by=lambda each: each.name)


def total(*parts: list[wire.BreakerReport]) -> Counter[tuple[str, str | int]]:
    found: Counter[tuple[str, str | int]] = Counter()
    for part in parts:
        for each in part:
            for name in wire.Counts.__struct_fields__:
                found[each.name, name] += getattr(each.counts, name)
            for index, n in each.histogram.buckets.items():
                found[each.name, index] += n
            found[each.name, "transitions"] += len(each.transitions)
    return +found


@given(slices, slices)
def test_merging_loses_no_count_and_says_which_transitions_it_had_no_room_for(
    first: list[wire.BreakerReport], second: list[wire.BreakerReport]
) -> None:
    merged, dropped = merge(pack(0.0, 1.0, first), pack(1.0, 2.5, second))
    before, after = total(first, second), total(merged.breakers())
    gone = before - after
    assert sum(gone.values()) == dropped
    assert {key for _, key in gone} <= {"transitions"}
    assert (merged.start, merged.end) == (0.0, 2.5)
    assert all(len(each.transitions) <= wire.MAX_TRANSITIONS for each in merged.breakers())


@given(slices, slices)
def test_the_later_state_stays_and_times_count_from_the_later_end(
    first: list[wire.BreakerReport], second: list[wire.BreakerReport]
) -> None:
    merged, _ = merge(pack(0.0, 1.0, first), pack(1.0, 2.5, second))
    later = {each.name: each for each in second}
    earlier = {each.name: each for each in first}
    for each in merged.breakers():
        if each.name in later:
            assert (each.state, each.since_s) == (later[each.name].state, later[each.name].since_s)
        else:
            assert each.state == earlier[each.name].state
            assert each.since_s == earlier[each.name].since_s + 1.5


def test_transitions_of_the_earlier_slice_are_longer_ago_in_the_merged_one() -> None:
    moved = wire.Transition(id=1, ago_s=0.5, from_="closed", to="open", cause="")
    first = pack(0.0, 1.0, [wire.BreakerReport("posts", "open", transitions=[moved])])
    merged, _ = merge(first, pack(1.0, 11.0, [wire.BreakerReport("posts", "open")]))
    (posts,) = merged.breakers()
    assert [each.ago_s for each in posts.transitions] == [10.5]


def test_a_declared_policy_survives_a_later_slice_without_one() -> None:
    first = pack(0.0, 1.0, [wire.BreakerReport("posts", "open", policy={"retries": 2})])
    merged, _ = merge(first, pack(1.0, 2.0, [wire.BreakerReport("posts", "open")]))
    assert merged.breakers()[0].policy == {"retries": 2}


@given(slices, st.integers(1, 4000))
def test_pieces_hold_every_breaker_once(whole: list[wire.BreakerReport], limit: int) -> None:
    pieces = split(pack(0.0, 1.0, whole), limit)
    names = [each.name for piece in pieces for each in piece.breakers()]
    assert names == [each.name for each in whole]
    assert all(piece.size <= limit or len(piece.breakers()) == 1 for piece in pieces) or not whole
