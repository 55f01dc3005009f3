"""Single flight: of concurrent calls with the same key, one runs and all share its result."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final

from breakers.common.forking import renew_after_fork
from breakers.deadline import current_deadline
from breakers.errors import CallTimeout

_NOTHING: Final = object()
# The flights that this context is inside of. Tasks and isolation threads that a call starts carry a
# copy of it: one that asks for its own caller's answer would wait for ever.
_inside: ContextVar[tuple[object, ...]] = ContextVar("breakers_flights", default=())


class _Leader:
    """A call under way in some thread."""

    __slots__ = ("done", "error", "result")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.result: Any = _NOTHING
        self.error: Exception | None = None


class SingleFlight:
    """The calls under way, by key. Threads share theirs, and so do the coroutines of a loop.

    >>> SingleFlight().run("user:7", lambda: 42)
    42
    """

    def __init__(self) -> None:
        self._flights: dict[str, _Leader] = {}
        self._aflights: dict[tuple[str, int], asyncio.Future[Any]] = {}
        renew_after_fork(self)

    def run(self, key: str, make: Callable[[], Any]) -> Any:
        """`make()`, or what the call for `key` that is under way returns or raises.

        Whoever waits does so until its own deadline. Where the one who asks is interrupted, the
        next asks.

        Raises:
            CallTimeout: the deadline passed while waiting.
            Exception: what the call raised.
        """
        while True:
            mine = _Leader()
            # setdefault is atomic: of those who race, exactly one finds its own flight.
            flight = self._flights.setdefault(key, mine)
            if flight is mine:
                return self._lead(key, mine, make)
            if flight in _inside.get():
                # The call asks for itself: waiting would be for ever.
                return make()
            deadline = current_deadline()
            if not flight.done.wait(None if deadline is None else deadline.remaining()):
                raise CallTimeout(deadline.budget if deadline is not None else None)
            if flight.error is not None:
                raise flight.error
            if flight.result is not _NOTHING:
                return flight.result

    def _lead(self, key: str, flight: _Leader, make: Callable[[], Any]) -> Any:
        token = _inside.set((*_inside.get(), flight))
        try:
            flight.result = make()
        except Exception as error:
            flight.error = error
            raise
        finally:
            _inside.reset(token)
            self._flights.pop(key, None)
            flight.done.set()
        return flight.result

    async def arun(self, key: str, make: Callable[[], Awaitable[Any]]) -> Any:
        """`fly` for coroutines. A cancelled one who waits harms nobody else."""
        loop = asyncio.get_running_loop()
        place = (key, id(loop))
        while True:
            flight = self._aflights.get(place)
            # A loop that was closed over a call may have left one behind under its number.
            if flight is None or flight.get_loop() is not loop:
                return await self._alead(place, loop.create_future(), make)
            if flight in _inside.get():
                return await make()
            deadline = current_deadline()
            left = None if deadline is None else deadline.remaining()
            await asyncio.wait([flight], timeout=left)
            if not flight.done():
                raise CallTimeout(deadline.budget if deadline is not None else None)
            if not flight.cancelled():
                return flight.result()

    async def _alead(
        self,
        place: tuple[str, int],
        flight: asyncio.Future[Any],
        make: Callable[[], Awaitable[Any]],
    ) -> Any:
        self._aflights[place] = flight
        token = _inside.set((*_inside.get(), flight))
        try:
            result = await make()
        except Exception as error:
            flight.set_exception(error)
            # Looked at here, so that the loop does not complain where nobody waits.
            flight.exception()
            raise
        except BaseException:
            flight.cancel()
            raise
        finally:
            _inside.reset(token)
            self._aflights.pop(place, None)
        flight.set_result(result)
        return result

    def _after_fork(self) -> None:
        self._flights.clear()
        self._aflights.clear()
