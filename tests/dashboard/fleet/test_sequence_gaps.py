"""Whatever the order in which reports come, and however often, each is counted once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from breakers.protocol import messages as wire
from dashboard.fleet.checkpoint_batch import Batch
from dashboard.fleet.sequence_gaps import MAX_GAPS, Gaps, take
from dashboard.fleet.state import FleetState


def counted(seqs: list[int]) -> list[int]:
    """Those that were taken."""
    highest, gaps, found = 0, (), []
    for seq in seqs:
        after: Gaps | None = take(highest, gaps, seq)
        if after is not None:
            found.append(seq)
            highest, gaps = max(highest, seq), after
    return found


@given(st.lists(st.integers(1, MAX_GAPS), max_size=120))
def test_each_number_is_taken_the_first_time_that_it_comes(seqs: list[int]) -> None:
    assert counted(seqs) == list(dict.fromkeys(seqs))


@given(st.lists(st.integers(1, 2**53), max_size=300))
def test_numbers_at_random_are_taken_once_at_most_and_take_little_room(seqs: list[int]) -> None:
    found = counted(seqs)
    assert len(found) == len(set(found))
    highest, gaps = 0, ()
    for seq in seqs:
        gaps = take(highest, gaps, seq) or gaps
        highest = max(highest, seq)
        assert len(gaps) <= MAX_GAPS


def report(seq: int, state: str = "closed") -> wire.Report:
    breaker = wire.BreakerReport("posts", state, counts=wire.Counts(success=seq))  # type: ignore[arg-type]
    return wire.Report("shop", wire.Instance("one"), "b", seq, 1.0, [breaker], age_s=0.5)


def test_one_that_was_overtaken_counts_and_changes_no_state() -> None:
    fleet, batch = FleetState(), Batch()
    for seq, state in ((1, "closed"), (3, "open"), (2, "closed"), (2, "closed"), (4, "open")):
        fleet.fold(report(seq, state), 1000.0, batch)
    fleet.flush(batch)
    (delta,) = batch.deltas.values()
    assert delta.counts == {"success": 1 + 2 + 3 + 4}
    (frame,) = fleet.frames(1000.0)
    (view,) = frame["breakers"]
    assert view["states"] == {"open": 1}
    assert batch.cursors == {("shop", "one", "b"): 4}
    assert batch.gaps == {("shop", "one", "b"): ()}
    assert fleet.duplicates == 1


def test_gaps_outlive_whoever_kept_them() -> None:
    first, batch = FleetState(), Batch()
    first.fold(report(1), 1000.0, batch)
    first.fold(report(5), 1000.0, batch)
    assert batch.gaps == {("shop", "one", "b"): ((2, 4),)}
    second, later = FleetState(), Batch()
    second.restore(["shop"], batch.cursors, {}, 1000.0, batch.gaps)
    for seq in (1, 3, 5):
        second.fold(report(seq), 1001.0, later)
    second.flush(later)
    assert sum(delta.counts["success"] for delta in later.deltas.values()) == 3
    assert later.gaps == {("shop", "one", "b"): ((2, 2), (4, 4))}
