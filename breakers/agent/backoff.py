"""When to try again: exponential with full jitter, so that a fleet does not return in step.

After Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
"""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Waits drawn evenly from 0 to a ceiling that doubles from `first_s` up to `max_s`."""

    def __init__(
        self,
        max_s: float,
        first_s: float = 0.2,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._max_s = max_s
        self._first_s = first_s
        self._random = random
        self._failures = 0

    def next(self, at_least_s: float = 0.0) -> float:
        """Seconds to wait after one more failure; never less than `at_least_s`."""
        ceiling = min(self._max_s, self._first_s * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return max(at_least_s, ceiling * self._random())

    def soon(self, within_s: float) -> float:
        """Seconds to wait for a server that restarts: its agents come back evenly over that time.
        Asked again without success, it is a failure like others."""
        if self._failures:
            return self.next()
        self._failures += 1
        return within_s * self._random()

    def reset(self) -> None:
        """It went well: begin anew."""
        self._failures = 0
