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
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from dashboard.bus import Bus, Subscription, bus
from dashboard.common.supervision import keep_running

logger = logging.getLogger("switchgear.live")

TOPIC: Final = "presence"
LOOKING: Final[Literal["looking"]] = "looking"
_TELL_EVERY_S: Final = 5.0
_FORGET_AFTER_S: Final = 15.0
# Changes within this time are told together, to browsers and to other processes: one window that
# changes all the time costs everybody five messages a second at most.
_TOGETHER_S: Final = 0.2
# Bounds: breakers of one socket, sockets that a process tells of, people that a page is told of.
MAX_TARGETS: Final = 20
_MAX_TOLD: Final = 1000
_MAX_SHOWN: Final = 20
# Of these a window leaves out its own person, who does at most eight things at a breaker.
_MAX_AT_A_BREAKER: Final = _MAX_SHOWN + 8

Key = tuple[str, str]
# Whether they only look, so that who is about to act comes first; the person; and what they do.
_Entry = tuple[bool, str, str]


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
        self._due_sockets: set[int] = set()
        self._due_keys: set[Key] = set()
        self._telling: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def enter(self) -> int:
        """A number for a new socket."""
        self._last += 1
        return self._last

    def set(self, socket: int, present: OpenWindow, tell: Callable[[str], None]) -> None:
        """What a socket's window has open now. `tell` is called with a message for the browser,
        soon and whenever somebody else comes to one of its breakers or leaves."""
        before = self._here.get(socket)
        self._here[socket] = (present, tell)
        self._start()
        if before is None or before[0] != present:
            self._due_sockets.add(socket)
            self._moved((*present.targets, *(before[0].targets if before else ())))

    def leave(self, socket: int) -> None:
        """A socket has closed."""
        before = self._here.pop(socket, None)
        if before is not None:
            self._moved(before[0].targets)

    def _everybody(self) -> Iterable[OpenWindow]:
        for present, _ in self._here.values():
            yield present
        for _, told in self._elsewhere.values():
            yield from told

    def _moved(self, keys: Iterable[Key]) -> None:
        self._notify(keys)
        self._changed.set()

    def _notify(self, keys: Iterable[Key]) -> None:
        """Have the windows at these breakers told."""
        self._due_keys.update(keys)
        if self._telling is None:
            loop = asyncio.get_running_loop()
            self._telling = loop.call_later(_TOGETHER_S, self._tell_windows)

    def _tell_windows(self) -> None:
        self._telling = None
        sockets, self._due_sockets = self._due_sockets, set()
        keys, self._due_keys = self._due_keys, set()
        due = [
            each
            for socket, each in self._here.items()
            if socket in sockets or not keys.isdisjoint(each[0].targets)
        ]
        at = self._at(frozenset(key for present, _ in due for key in present.targets))
        for present, tell in due:
            tell(_message(present, at))

    def _at(self, keys: frozenset[Key]) -> dict[Key, list[_Entry]]:
        """Who is at each of these breakers, the first few."""
        found: dict[Key, set[_Entry]] = {key: set() for key in keys}
        for each in self._everybody():
            for key in keys.intersection(each.targets):
                found[key].add((each.doing == LOOKING, each.person, each.doing))
        return {key: sorted(entries)[:_MAX_AT_A_BREAKER] for key, entries in found.items()}

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


def _message(asks: OpenWindow, at: Mapping[Key, Sequence[_Entry]]) -> str:
    """The other people at the breakers of a window."""
    found = [
        (*entry, *key) for key in set(asks.targets) for entry in at[key] if entry[1] != asks.person
    ]
    people = [
        {"person": person, "doing": doing, "service": service, "breaker": breaker}
        for _, person, doing, service, breaker in sorted(found)[:_MAX_SHOWN]
    ]
    return msgspec.json.encode({"type": "presence", "people": people}).decode()


presence: Final = Presence()
