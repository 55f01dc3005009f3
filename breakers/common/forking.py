"""What a forked child must renew: locks that a thread of its parent may hold, and the counts.

Only the thread that forks goes on in the child; a lock that another one held would stay locked for
ever.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Renewed(Protocol):
    """Something that knows how to begin again in a child."""

    def _after_fork(self) -> None: ...


_live: weakref.WeakSet[Renewed] = weakref.WeakSet()


def renew_after_fork(each: Renewed) -> None:
    """Call `each._after_fork()` in every child that is forked while `each` exists."""
    _live.add(each)


def _after_fork() -> None:
    for each in list(_live):
        each._after_fork()


os.register_at_fork(after_in_child=_after_fork)
