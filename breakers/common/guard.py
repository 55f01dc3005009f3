"""A lock that never waits for its own thread."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from threading import get_ident
from time import sleep
from typing import Any, Final, ParamSpec, TypeVar

from breakers.common.uninterruptible import uninterruptible

P = ParamSpec("P")
R = TypeVar("R")
logger = logging.getLogger("breakers")

_TRIES: Final = 100


class Nested:
    """The type of `NESTED`, which `Guard` returns in place of a result."""

    def __bool__(self) -> bool:
        return False


NESTED: Final = Nested()


@uninterruptible
class Guard:
    """Mutual exclusion for bookkeeping that other code may interrupt on the same thread.

    The garbage collector, a signal handler, a log handler or an injected clock may run at any
    moment, also while this thread is inside the guard, and may come back to the guarded object. A
    plain lock would wait for its own thread for ever. A recursive lock would let the inner act see,
    and change, a half-done update. Here an inner write is deferred until the outer act has ended,
    and an inner read gets `NESTED`. The same holds across guards: a thread that is inside
    one never waits for another.

    >>> guard = Guard()
    >>> seen = []
    >>> def outer():
    ...     guard.run(seen.append, "inner")
    ...     seen.append("outer")
    >>> guard.run(outer)
    >>> seen
    ['outer', 'inner']
    """

    __slots__ = ("_deferred", "_inside", "_lock")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._inside = False
        self._deferred: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()

    @property
    def is_busy(self) -> bool:
        """Whether some thread is inside."""
        return self._inside

    @property
    def is_mine(self) -> bool:
        """Whether this thread is inside this guard or another one."""
        return get_ident() in _threads_inside

    def run(self, act: Callable[..., R], /, *args: Any) -> R | Nested:
        """Run `act` inside the guard. Where this thread is inside already, `act` runs once the
        outer act has ended, and `NESTED` is returned."""
        return self._run(act, args, defer=True)

    def run_now(self, act: Callable[..., R], /, *args: Any) -> R | Nested:
        """`run`, but where this thread is inside already, `act` does not run at all."""
        return self._run(act, args, defer=False)

    def _run(self, act: Callable[..., R], args: tuple[Any, ...], defer: bool) -> R | Nested:
        me = get_ident()
        if me in _threads_inside:
            # Inside this guard or another one. To wait here for a thread that waits, in the same
            # way, for this one would be for ever: so this thread does not wait.
            return self._run_nested(act, args, defer)
        failed: list[Exception] = []
        try:
            with self._lock:
                try:
                    _threads_inside.add(me)
                    self._inside = True
                    return act(*args)
                finally:
                    self._inside = False
                    if self._deferred:
                        self._run_deferred(failed)
                    _threads_inside.discard(me)
        finally:
            # Outside: a log handler may wait for a thread that waits for this guard.
            for error in failed:
                logger.error("a deferred update failed", exc_info=error)

    def _run_nested(self, act: Callable[..., R], args: tuple[Any, ...], defer: bool) -> R | Nested:
        if self._inside or not self._lock.acquire(blocking=False):
            if defer:
                # The thread inside runs it when it leaves, or the next one that enters.
                self._deferred.append((act, args))
            return NESTED
        try:
            if self._inside:
                if defer:
                    self._deferred.append((act, args))
                return NESTED
            try:
                self._inside = True
                return act(*args)
            finally:
                self._inside = False
        finally:
            self._lock.release()

    def _run_deferred(self, failed: list[Exception]) -> None:
        while self._deferred:
            act, args = self._deferred.popleft()
            try:
                self._inside = True
                act(*args)
            except Exception as error:
                failed.append(error)
            finally:
                self._inside = False


# The threads that are inside a guard. Each adds and removes itself alone.
_threads_inside: set[int] = set()


@uninterruptible
def give_way(guard: Guard) -> None:
    """Let other threads run while one of them is inside `guard`, for a bounded number of tries.

    A thread that waits for a lock is handed it while it still waits for the interpreter. Every
    thread that runs meanwhile then finds the lock taken and queues: all threads go in step, with a
    switch between them for each call (a lock convoy: Blasgen, Gray, Mitoma, Price, 1979). A thread
    that yields first and then asks is handed nothing that it cannot use at once.
    """
    tries = 0
    while guard.is_busy and tries < _TRIES and not guard.is_mine:
        tries += 1
        # Gives the interpreter away: to the thread inside, sooner or later.
        sleep(0)


# Of a parent's threads, only the one that forks goes on in the child.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads_inside.clear)
