"""Hours without a dashboard fit into a fixed number of bytes, and no count is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakers.agent.outbox import MAX_REPORT_BYTES, Outbox
from breakers.agent.slices import Slice, pack
from breakers.protocol import messages as wire


def busy(at: float, n: int = 1, breakers: int = 1, buckets: int = 20) -> Slice:
    """A second that ended at `at`."""
    histogram = wire.Histogram(dict.fromkeys(range(-40, buckets - 40), 1000), 1.0)
    return pack(
        at - 1.0,
        at,
        [
            wire.BreakerReport(
                f"breaker {i}", "closed", counts=wire.Counts(success=n), histogram=histogram
            )
            for i in range(breakers)
        ],
    )


def send_all(outbox: Outbox) -> list[Slice]:
    sent = []
    for sealed in outbox.unsent(10**6):
        sealed.sent_at = 0.0
        sent.append(sealed.slice)
        outbox.received(sealed.seq)
    return sent


def successes(slices: list[Slice]) -> int:
    return sum(each.counts.success for piece in slices for each in piece.breakers())


def test_the_older_the_coarser() -> None:
    outbox = Outbox(10**9)
    for second in range(1, 7201):
        outbox.add(busy(float(second)))
    durations = [round(each.duration) for each in send_all(outbox)]
    assert durations == sorted(durations, reverse=True)
    assert set(durations) >= {60, 10, 1}
    assert max(durations) <= 60
    assert len(durations) < 200


@pytest.mark.parametrize("bound", [64 * 1024, 256 * 1024])
def test_an_hour_of_twenty_breakers_stays_within_the_bound(bound: int) -> None:
    outbox = Outbox(bound)
    peak = 0
    for second in range(1, 4000):
        outbox.add(busy(float(second), breakers=20))
        peak = max(peak, outbox.waiting_bytes)
    assert peak <= bound
    assert successes(send_all(outbox)) == 3999 * 20


def test_a_single_slice_may_exceed_a_tiny_bound_but_only_one_is_kept() -> None:
    outbox = Outbox(1000)
    for second in range(1, 100):
        outbox.add(busy(float(second), breakers=50))
    assert len(outbox) == 1
    assert successes(send_all(outbox)) == 99 * 50


steps_taken = st.tuples(
    st.integers(0, 5), st.integers(0, 3), st.booleans(), st.sampled_from([0.0, 2.0, 60.0])
)


@given(st.lists(steps_taken, max_size=80))
def test_whatever_is_added_sent_lost_and_confirmed_every_count_goes_out_once(
    steps: list[tuple[int, int, bool, float]],
) -> None:
    outbox = Outbox(3000)
    told: dict[int, bytes] = {}
    counts: dict[int, int] = {}
    added = 0
    for second, (n, window, lost, together_s) in enumerate(steps, 1):
        outbox.add(busy(float(second), n) if n else pack(second - 1.0, second, []))
        added += n
        for sealed in outbox.unsent(window, together_s):
            sealed.sent_at = float(second)
            assert told.setdefault(sealed.seq, sealed.slice.data) == sealed.slice.data
            counts[sealed.seq] = successes([sealed.slice])
        if lost:
            outbox.rewind()
        elif told:
            outbox.received(max(told) - 1)
    outbox.rewind()
    for sealed in outbox.unsent(10**6):
        sealed.sent_at = 0.0
        counts[sealed.seq] = successes([sealed.slice])
        outbox.received(sealed.seq)
    assert sum(counts.values()) == added
    assert (outbox.waiting_bytes, outbox.sealed_bytes, len(outbox)) == (0, 0, 0)


def test_numbers_go_up_by_one() -> None:
    outbox = Outbox(10**6)
    for second in range(1, 10):
        outbox.add(busy(float(second)))
    for sealed in outbox.unsent(1000):
        sealed.sent_at = 1.0
    assert [each.seq for each in outbox.under_way()] == list(range(1, 10))


def test_what_does_not_fit_into_one_message_goes_in_several() -> None:
    outbox = Outbox(10**9)
    outbox.add(busy(1.0, breakers=3000, buckets=100))
    sent = send_all(outbox)
    assert len(sent) > 1
    assert all(each.size <= MAX_REPORT_BYTES for each in sent)
    assert successes(sent) == 3000


def test_what_is_under_way_is_bounded_in_bytes_too() -> None:
    outbox = Outbox(10**9)
    for second in range(1, 50):
        outbox.add(busy(float(second), breakers=500))
    for sealed in outbox.unsent(1000):
        sealed.sent_at = 0.0
    assert outbox.sealed_bytes < 2 * MAX_REPORT_BYTES
    assert outbox.has_waiting


def test_empty_slices_do_not_pile_up() -> None:
    outbox = Outbox(10**6)
    for second in range(1, 100):
        outbox.add(pack(second - 1.0, float(second), []))
    assert len(outbox) == 1
    outbox.add(busy(100.0))
    assert successes(send_all(outbox)) == 1
