"""Gaps in the sequence numbers of an incarnation: such reports may still come and are counted.

An agent sends in order, but what carries its reports may not keep them so. For each incarnation the
highest number is kept, and the gaps below it as ranges from first to last.
"""

from __future__ import annotations

from typing import Final

Gaps = tuple[tuple[int, int], ...]
# Beyond that the lowest gap counts as counted: something sends numbers at random.
MAX_GAPS: Final = 32


def take(highest: int, gaps: Gaps, seq: int) -> Gaps | None:
    """The gaps once the report numbered `seq` is counted; None if it was counted before.

    >>> take(4, (), 5), take(4, (), 8)
    ((), ((5, 7),))
    >>> take(8, ((5, 7),), 6), take(8, ((5, 7),), 5), take(8, ((5, 7),), 8)
    (((5, 5), (7, 7)), ((6, 7),), None)
    """
    if seq == highest + 1:
        return gaps
    if seq > highest:
        return (*gaps, (highest + 1, seq - 1))[-MAX_GAPS:]
    for i, (first, last) in enumerate(gaps):
        if first <= seq <= last:
            halves = ((first, seq - 1), (seq + 1, last))
            left = [half for half in halves if half[0] <= half[1]]
            return (*gaps[:i], *left, *gaps[i + 1 :])[-MAX_GAPS:]
    return None
