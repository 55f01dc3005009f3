"""A bound on concurrent calls, so that one slow dependency cannot hold every worker."""

from __future__ import annotations

from breakers.common.validation import whole
from breakers.limits.slots import MAX_WAITING, Slots


class Bulkhead(Slots):
    """At most `max_concurrent` calls at once; others wait up to `max_wait` seconds, in order, at
    most `max_waiting` of them.

    Threads and coroutines may share one. It is a context manager of both kinds.

    Raises:
        PolicyError: at construction.
        BulkheadFull: on entering, where no slot came free in time or too many wait already.

    >>> posts = Bulkhead(2)
    >>> with posts:
    ...     posts.in_flight
    1
    """

    def __init__(
        self, max_concurrent: int, max_wait: float = 0.0, *, max_waiting: int = MAX_WAITING
    ) -> None:
        super().__init__(max_concurrent, max_wait, max_waiting)

    def __reduce__(self) -> tuple[type[Bulkhead], tuple[int, float]]:
        """Another process gets a bulkhead of its own."""
        return type(self), (self.max_concurrent, self.max_wait)

    def resize(self, max_concurrent: int) -> None:
        """Change how many may hold a slot. Holders above a smaller limit keep theirs."""
        self._guard.run(self._resize, whole("max_concurrent", max_concurrent))

    def _resize(self, limit: int) -> None:
        self._limit = limit
        self._serve()
