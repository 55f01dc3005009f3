"""Slots that threads and coroutines share, and the bounded queue of those who wait for one."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from math import floor
from types import TracebackType
from typing import Final

from breakers.common.forking import renew_after_fork
from breakers.common.guard import Guard, Nested
from breakers.common.uninterruptible import uninterruptible
from breakers.common.validation import number, whole
from breakers.criticality import SHEDDABLE_SHARE, Criticality, rank
from breakers.deadline import remaining
from breakers.errors import BulkheadFull

# Waiting callers of one object, where it is not said otherwise.
MAX_WAITING: Final = 1000
_LAST: Final = len(Criticality) - 1


class _Waiter:
    """A thread in the line of its class."""

    def __init__(self) -> None:
        self.rank = rank()
        self.granted = False
        self._woken = threading.Event()

    def wake(self) -> None:
        self._woken.set()

    def wait(self, seconds: float) -> None:
        self._woken.wait(seconds)


class _AsyncWaiter(_Waiter):
    """A coroutine in the line; it may be woken from any thread."""

    def __init__(self) -> None:
        self.rank = rank()
        self.granted = False
        self._loop = asyncio.get_running_loop()
        self.woken = asyncio.Event()

    def wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self.woken.set)
        except RuntimeError:
            # Its loop is closed, and its waiter is gone: the slot goes to the next one.
            self.granted = False


@uninterruptible
class Slots:
    """At most `limit` holders at once. Base of the bulkheads.

    Threads and coroutines may share one. A slot that is given back goes straight to the first in
    the line of the most important class that waits, so that nobody of the same class overtakes.
    Sheddable calls leave the last quarter of the slots to the others. Where too many wait, a more
    important call takes the place of the last of the least important ones.
    """

    def __init__(self, limit: int, max_wait: float, max_waiting: int = MAX_WAITING) -> None:
        self._limit = whole("max_concurrent", limit)
        self.max_waiting = whole("max_waiting", max_waiting, 0)
        self.max_wait = number("max_wait", max_wait, 0, 3600, "s")
        self._after_fork()
        renew_after_fork(self)

    def _after_fork(self) -> None:
        self._guard = Guard()
        self._lines: tuple[deque[_Waiter], ...] = tuple(deque() for _ in Criticality)
        self._held = 0
        self.rejected = 0
        """Callers turned away since the start."""

    @property
    def max_concurrent(self) -> int:
        """How many may hold a slot at once."""
        return self._limit

    @property
    def in_flight(self) -> int:
        """How many hold a slot now."""
        return self._held

    @property
    def waiting(self) -> int:
        """How many are in the line now."""
        return sum(map(len, self._lines))

    def acquire(self) -> None:
        """Take a slot, waiting at most `max_wait` seconds and never beyond the present deadline.

        Raises:
            BulkheadFull: there was none.
        """
        patience = self._patience()
        waiter = self._take_or_queue(_Waiter, patience)
        if waiter is None:
            return
        try:
            waiter.wait(patience)
        except BaseException:
            # An interruption, such as a timeout's: nobody waits here any more.
            self._quit(waiter)
            raise
        self._settle(waiter)

    async def aacquire(self) -> None:
        """`acquire` for coroutines. A cancelled one leaves the line."""
        patience = self._patience()
        waiter = self._take_or_queue(_AsyncWaiter, patience)
        if waiter is None:
            return
        assert isinstance(waiter, _AsyncWaiter)
        try:
            async with asyncio.timeout(patience):
                await waiter.woken.wait()
        except TimeoutError:
            pass
        except BaseException:
            self._quit(waiter)
            raise
        self._settle(waiter)

    def release(self) -> None:
        """Give a slot back."""
        self._guard.run(self._release)

    def _release(self) -> None:
        # A child leaves blocks that its parent entered; its own count began at none.
        self._held = max(0, self._held - 1)
        self._serve()

    def _serve(self) -> None:
        """Hand free slots to the line. Runs inside the guard."""
        for line in self._lines:
            most = self._limit if line is not self._lines[-1] else self._for_sheddable()
            while line and self._held < most:
                first = line.popleft()
                first.granted = True
                first.wake()
                self._held += first.granted

    def _for_sheddable(self) -> int:
        return max(1, floor(self._limit * SHEDDABLE_SHARE))

    def _patience(self) -> float:
        left = remaining()
        return self.max_wait if left is None else min(self.max_wait, left)

    def _take_or_queue(self, make: type[_Waiter], patience: float) -> _Waiter | None:
        """None with a slot taken, or a place in the queue."""
        found = self._guard.run_now(self._try_to_take, make, patience)
        if isinstance(found, str | Nested):
            self.rejected += 1
            raise BulkheadFull(found or self._why())
        return found

    def _try_to_take(self, make: type[_Waiter], patience: float) -> _Waiter | str | None:
        place = rank()
        most = self._limit if place < _LAST else self._for_sheddable()
        if self._held < most and not any(self._lines[: place + 1]):
            self._held += 1
            return None
        if patience <= 0:
            return self._why()
        if self.waiting >= self.max_waiting and not self._displace(place):
            return (
                f"all {self._limit} slots are taken, and {self.waiting} callers wait already "
                f"(max_waiting is {self.max_waiting})"
            )
        waiter = make()
        self._lines[place].append(waiter)
        return waiter

    def _displace(self, place: int) -> bool:
        """Send the last of the least important waiters away, if it matters less than this."""
        for line in reversed(self._lines[place + 1 :]):
            if line:
                line.pop().wake()
                return True
        return False

    def _settle(self, waiter: _Waiter) -> None:
        if self._leave(waiter):
            self._guard.run(self._count_rejected)
            raise BulkheadFull(self._why())

    def _count_rejected(self) -> None:
        self.rejected += 1

    def _quit(self, waiter: _Waiter) -> None:
        """Leave the line, and give on a slot that came at the last moment."""
        if not self._leave(waiter):
            self.release()

    def _leave(self, waiter: _Waiter) -> bool:
        """Whether the waiter goes without a slot; it is out of the line then."""
        return bool(self._guard.run_now(self._try_to_leave, waiter))

    def _try_to_leave(self, waiter: _Waiter) -> bool:
        if waiter.granted:
            return False
        line = self._lines[waiter.rank]
        if waiter in line:
            line.remove(waiter)
        return True

    def _why(self) -> str:
        return f"all {self._limit} slots are taken, and none came free within {self.max_wait:g} s"

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    async def __aenter__(self) -> None:
        await self.aacquire()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
