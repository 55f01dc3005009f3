"""Who has which breaker open, or a dialog of an action on it: two people must not act unawares.

Each process knows the sockets it serves and tells the others of them through the bus: at each
change, and every few seconds while somebody is there. What a process told is forgotten when it has
been silent for longer. Nothing of it is stored.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Final, Literal

import msgspec

from dashboard.bus import Bus, Subscription, bus
from dashboard.common.supervision import keep_running

logger = logging.getLogger("switchgear.live")

TOPIC: Final = "presence"
LOOKING: Final[Literal["looking"]] = "looking"
_TELL_EVERY_S: Final = 5.0
_FORGET_AFTER_S: Final = 15.0
# Changes within this time travel together.
_TOGETHER_S: Final = 0.2
# Bounds: breakers of one socket, sockets that a process tells of, people that a page is told of.
MAX_TARGETS: Final = 20
_MAX_TOLD: Final = 1000
_MAX_SHOWN: Final = 20

Key = tuple[str, str]


class OpenWindow(msgspec.Struct, frozen=True):
    """What one browser window has open: `doing` is "looking", or the slug of an action whose dialog
    is open."""

    person: str
    doing: str
    targets: tuple[Key, ...]


class _ProcessWindows(msgspec.Struct):
    process: str
    present: list[OpenWindow]


class Presence:
    """The windows of this process, and what other processes told of theirs."""

    def __init__(
        self, of: Callable[[], Bus] = bus, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._bus = of
        self._now = now
        self._process = secrets.token_hex(8)
        self._here: dict[int, tuple[OpenWindow, Callable[[str], None]]] = {}
        self._elsewhere: dict[str, tuple[float, list[OpenWindow]]] = {}
        self._last = 0
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def enter(self) -> int:
        """A number for a new socket."""
        self._last += 1
        return self._last

    def set(self, socket: int, present: OpenWindow, tell: Callable[[str], None]) -> None:
        """What a socket's window has open now. `tell` is called with a message for the browser, now
        and whenever somebody else comes to one of its breakers or leaves."""
        before = self._here.get(socket)
        self._here[socket] = (present, tell)
        self._start()
        tell(self.message(present))
        if before is None or before[0] != present:
            self._moved((*present.targets, *(before[0].targets if before else ())), socket)

    def leave(self, socket: int) -> None:
        """A socket has closed."""
        before = self._here.pop(socket, None)
        if before is not None:
            self._moved(before[0].targets)

    def message(self, asks: OpenWindow) -> str:
        """The other people at the breakers of a window."""
        wanted = set(asks.targets)
        found: set[tuple[str, str, str, str]] = set()
        for each in self._everybody():
            if each.person != asks.person:
                found |= {(each.person, each.doing, *key) for key in each.targets if key in wanted}
        # Who is about to act comes first.
        shown = sorted(found, key=lambda each: (each[1] == LOOKING, each))[:_MAX_SHOWN]
        people = [
            {"person": person, "doing": doing, "service": service, "breaker": breaker}
            for person, doing, service, breaker in shown
        ]
        return msgspec.json.encode({"type": "presence", "people": people}).decode()

    def _everybody(self) -> Iterable[OpenWindow]:
        for present, _ in self._here.values():
            yield present
        for _, told in self._elsewhere.values():
            yield from told

    def _moved(self, keys: Iterable[Key], by: int = 0) -> None:
        self._notify(keys, by)
        self._changed.set()

    def _notify(self, keys: Iterable[Key], but: int = 0) -> None:
        touched = set(keys)
        for socket, (present, tell) in tuple(self._here.items()):
            if socket != but and touched.intersection(present.targets):
                tell(self.message(present))

    # -- Other processes -------------------------------------------------------------------------

    def _start(self) -> None:
        if any(not each.done() for each in self._tasks):
            return
        heard = self._bus().subscribe(TOPIC)
        self._tasks = [
            asyncio.create_task(keep_running("presence", self._tell), name="presence"),
            asyncio.create_task(self._listen(heard), name="presence of others"),
        ]

    async def _tell(self) -> None:
        """Tell the others what changed, and while somebody is here that it still is so."""
        while True:
            try:
                async with asyncio.timeout(_TELL_EVERY_S):
                    await self._changed.wait()
                await asyncio.sleep(_TOGETHER_S)
            except TimeoutError:
                self.forget_silent()
                if not self._here:
                    continue
            self._changed.clear()
            present = [each for each, _ in self._here.values()][:_MAX_TOLD]
            self._bus().publish(TOPIC, msgspec.json.encode(_ProcessWindows(self._process, present)))

    async def _listen(self, heard: Subscription) -> None:
        try:
            async for payload in heard:
                self.hear(payload)
        finally:
            heard.close()

    def hear(self, payload: bytes) -> None:
        """Take over what a process told of its windows."""
        told = msgspec.json.decode(payload, type=_ProcessWindows)  # our own process wrote it
        if told.process == self._process:
            return
        before = self._elsewhere.pop(told.process, (0.0, []))[1]
        if told.present:
            self._elsewhere[told.process] = (self._now(), told.present)
        if before != told.present:
            self._notify(key for each in (*before, *told.present) for key in each.targets)

    def forget_silent(self) -> None:
        """Forget processes that have not told anything for a while."""
        until = self._now() - _FORGET_AFTER_S
        for process, (at, present) in tuple(self._elsewhere.items()):
            if at < until:
                del self._elsewhere[process]
                self._notify(key for each in present for key in each.targets)


presence: Final = Presence()
