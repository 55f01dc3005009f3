"""A counter that any thread may add one to without a lock."""

from __future__ import annotations

from itertools import count


class Counter:
    """`add()` is the hot side: one call into C, atomic. `take()` is the cold side and needs the
    reader's own lock: it returns how many came since the last time.

    >>> counter = Counter()
    >>> counter.add(), counter.add()
    (0, 1)
    >>> counter.take(), counter.take()
    (2, 0)
    """

    __slots__ = ("_seen", "add")

    def __init__(self) -> None:
        self.add = count().__next__
        self._seen = 0

    def take(self) -> int:
        # Looking costs one number, which the next look must not count.
        value = self.add()
        new = value - self._seen
        self._seen = value + 1
        return new
