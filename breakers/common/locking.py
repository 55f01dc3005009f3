"""What to do before taking a lock that many threads want at once, and hold for microseconds."""

from __future__ import annotations

from threading import Lock
from time import sleep
from typing import Final

from breakers.common.uninterruptible import uninterruptible

_TRIES: Final = 100


@uninterruptible
def give_way(lock: Lock) -> None:
    """Let others run while `lock` is taken, for a while; then take it with `with lock:`.

    Who stands in line is handed the lock while still waiting for the interpreter. Whoever runs
    meanwhile soon wants the lock too, finds it taken and lines up behind: from one unlucky moment
    on, all threads go in step, with a switch between them for each call (a lock convoy: Blasgen,
    Gray, Mitoma, Price, 1979). Who lets others run and then asks is handed nothing that it cannot
    use. Taking the lock is left to `with`, which alone cannot be interrupted with it in hand.
    """
    tries = 0
    while lock.locked() and tries < _TRIES:
        tries += 1
        # Gives the interpreter away: to the one with the lock in hand, sooner or later.
        sleep(0)
