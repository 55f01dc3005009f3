"""What waits is added up to the same as if each had been added by itself."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from breakers.circuit.histogram import HIGHEST, LOWEST
from breakers.circuit.records import OUTCOMES
from breakers.protocol import messages as wire
from dashboard.fleet.aggregation import Pending

sketches = st.dictionaries(st.integers(LOWEST, HIGHEST), st.integers(0, 2**40), max_size=30)
counts = st.lists(st.integers(0, 2**40), min_size=len(OUTCOMES), max_size=len(OUTCOMES))


@given(st.lists(st.tuples(counts, sketches), min_size=1, max_size=12))
def test_sums_are_exact_in_every_bucket(parts: list[tuple[list[int], dict[int, int]]]) -> None:
    pending = Pending()
    expected: Counter[int] = Counter()
    for row, buckets in parts:
        pending.counts.append(wire.Counts(**dict(zip(OUTCOMES, row, strict=True))))
        pending.sketches.append(wire.Histogram(buckets, 1.0))
        expected.update(buckets)
    summed, buckets, sum_s = pending.take()
    assert summed == [sum(column) for column in zip(*(row for row, _ in parts), strict=True)]
    assert +Counter(buckets) == +expected
    assert sum_s == len(parts)
    assert pending.counts == pending.sketches == []


def test_the_wire_names_counts_in_the_order_of_outcomes() -> None:
    assert wire.Counts.__struct_fields__ == OUTCOMES
