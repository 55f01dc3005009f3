"""Single flight: of concurrent calls with the same key, one runs and all share its result."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final

from breakers.common.async_library import trio_if_running
from breakers.common.copied_errors import copied
from breakers.common.forking import renew_after_fork
from breakers.deadline import Deadline, current_deadline
from breakers.errors import CallTimeout

_NOTHING: Final = object()
# The calls that this context runs inside. Tasks and isolation threads that a call starts have a
# copy of it. One of them that waited for the result of its own caller would wait for ever.
_inside: ContextVar[tuple[object, ...]] = ContextVar("breakers_single_flight", default=())


class _Flight:
    """A call in progress. `done` is an event of threads, of asyncio or of trio."""

    __slots__ = ("done", "error", "owner", "result", "trace")

    def __init__(self, done: Any, owner: object = None) -> None:
        self.done = done
        self.owner = owner
        self.result: Any = _NOTHING
        self.error: Exception | None = None
        self.trace: TracebackType | None = None

    def failed(self, error: Exception) -> None:
        """Keep the error, with the traceback below the frame that calls this."""
        self.error = error
        self.trace = error.__traceback__ and error.__traceback__.tb_next

    def outcome(self) -> Any:
        """The result; `_NOTHING` if the call was interrupted.

        Raises:
            Exception: the call's error, a copy of it for each who asks. Each copy has a traceback
                of its own, which ends where the call failed.
        """
        if self.error is None:
            return self.result
        error = copied(self.error).with_traceback(self.trace)
        try:
            raise error
        finally:
            # This frame is part of its traceback.
            del error


class SingleFlight:
    """The calls in progress, by key. Threads share theirs, and so do the coroutines of a loop.

    >>> SingleFlight().run("user:7", lambda: 42)
    42
    """

    def __init__(self) -> None:
        self._flights: dict[str, _Flight] = {}
        self._aflights: dict[tuple[str, int], _Flight] = {}
        renew_after_fork(self)

    def run(self, key: str, make: Callable[[], Any]) -> Any:
        """`make()`, or the result or error of the call for `key` that is in progress.

        Each caller waits until its own deadline at most. If the call in progress is interrupted,
        one of those who wait makes it.

        Raises:
            CallTimeout: the deadline passed while waiting.
            Exception: what the call raised.
        """
        while True:
            mine = _Flight(threading.Event())
            # setdefault is atomic: of several threads, exactly one gets its own.
            flight = self._flights.setdefault(key, mine)
            if flight is mine:
                del flight
                try:
                    return self._lead(key, mine, make)
                finally:
                    # This frame is part of the error's traceback, and the flight refers to it.
                    del mine
            if flight in _inside.get():
                return make()
            deadline = current_deadline()
            if not flight.done.wait(None if deadline is None else deadline.remaining()):
                raise CallTimeout(deadline.budget if deadline is not None else None)
            result = flight.outcome()
            if result is not _NOTHING:
                return result

    def _lead(self, key: str, flight: _Flight, make: Callable[[], Any]) -> Any:
        token = _inside.set((*_inside.get(), flight))
        try:
            flight.result = result = make()
        except Exception as error:
            flight.failed(error)
            raise
        finally:
            _inside.reset(token)
            self._flights.pop(key, None)
            flight.done.set()
            # This frame is part of the error's traceback, and the flight refers to the error.
            del flight
        return result

    async def arun(self, key: str, make: Callable[[], Awaitable[Any]]) -> Any:
        """`run` for coroutines. A cancelled one that waits does not disturb the others."""
        owner, done = _running()
        place = (key, id(owner))
        while True:
            flight = self._aflights.get(place)
            # A loop that was closed during a call may have left one behind under its number.
            if flight is None or flight.owner is not owner:
                del flight
                return await self._alead(place, _Flight(done(), owner), make)
            if flight in _inside.get():
                return await make()
            deadline = current_deadline()
            if not await _wait(flight.done, deadline):
                raise CallTimeout(deadline.budget if deadline is not None else None)
            result = flight.outcome()
            if result is not _NOTHING:
                return result

    async def _alead(
        self, place: tuple[str, int], flight: _Flight, make: Callable[[], Awaitable[Any]]
    ) -> Any:
        self._aflights[place] = flight
        token = _inside.set((*_inside.get(), flight))
        try:
            flight.result = result = await make()
        except Exception as error:
            flight.failed(error)
            raise
        finally:
            _inside.reset(token)
            self._aflights.pop(place, None)
            flight.done.set()
            del flight
        return result

    def _after_fork(self) -> None:
        self._flights.clear()
        self._aflights.clear()


def _running() -> tuple[object, Callable[[], Any]]:
    """What runs coroutines here, and its kind of event."""
    trio: Any = trio_if_running()
    if trio is not None:
        return trio.lowlevel.current_root_task(), trio.Event
    return asyncio.get_running_loop(), asyncio.Event


async def _wait(done: Any, deadline: Deadline | None) -> bool:
    """Whether the event is set before the deadline."""
    trio: Any = trio_if_running()
    left = None if deadline is None else deadline.remaining()
    if trio is not None:
        if left is None:
            await done.wait()
        else:
            with trio.move_on_after(left):
                await done.wait()
        return bool(done.is_set())
    try:
        async with asyncio.timeout(left):
            await done.wait()
    except TimeoutError:
        return bool(done.is_set())
    return True
