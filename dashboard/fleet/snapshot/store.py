"""The fleet snapshot of this process: frames merged into the current state of every service.

One subscription feeds it. The snapshots that browsers get and the first data of pages are read from
it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, TypedDict, cast

import msgspec

from dashboard.bus import Bus
from dashboard.common.supervision import cancel, keep_running
from dashboard.fleet.frame_types import BreakerView, Frame
from dashboard.fleet.membership import MAX_INSTANCES
from dashboard.fleet.snapshot.service_snapshot import ServiceSnapshot, views
from dashboard.fleet.snapshot.summary import summary_frame, summary_service
from dashboard.fleet.worker import FRAMES, WANTED

logger = logging.getLogger("switchgear.fleet")
Listener = Callable[[str, str], None]


class _Frame(TypedDict):
    """A frame whose breakers are decoded when they are merged."""

    type: str
    service: str
    seq: int
    at: float
    full: bool
    interval_s: float
    breakers: list[msgspec.Raw]
    instances: list[dict[str, Any]]
    removed: dict[str, Any]
    over_capacity: dict[str, Any]


_decode: Final = msgspec.json.Decoder(_Frame).decode
_ENCODED_KEPT: Final = 32
# How often full frames are asked for while one is missing, and how many times at most: a service
# that has gone meanwhile never answers.
_ASK_AGAIN_S: Final = 1.0
_ASK_TIMES: Final = 10


_UNKNOWN: Final = ServiceSnapshot()


class SnapshotNotRunning(RuntimeError):
    """The fleet snapshot was read in a process that does not follow the fleet."""

    def __init__(self) -> None:
        super().__init__(
            "the fleet snapshot is not running in this process: it is started with the web server "
            "(dashboard.asgi), and there is nothing to read before or without it"
        )


class FleetSnapshot:
    """Follows the frames, and passes each on to its listeners as the bytes it came in."""

    def __init__(
        self,
        bus: Bus,
        wall: Callable[[], float] = time.time,
        is_running: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus = bus
        self._wall = wall
        self._now = now
        self._listeners: set[Listener] = set()
        self._summary_listeners: set[Listener] = set()
        self._following: asyncio.Task[None] | None = None
        self._is_running = is_running
        self._encoded: dict[tuple[frozenset[str] | None, bool], str] = {}
        self.services: dict[str, ServiceSnapshot] = {}
        self.at = 0.0
        # Services of which a frame was missed, until a full one comes.
        self._incomplete: set[str] = set()
        self._asked_at = 0.0
        self._asked_times = 0

    def start(self) -> None:
        """Begin to follow, inside the running event loop."""
        follow = keep_running("fleet snapshot", self._follow)
        self._following = asyncio.create_task(follow, name="fleet snapshot")
        self._is_running = True

    async def stop(self) -> None:
        """Stop following."""
        self._is_running = False
        if self._following is not None:
            await cancel(self._following)

    def running(self) -> FleetSnapshot:
        """This snapshot.

        Raises:
            SnapshotNotRunning: it was not started, or has stopped: it would look like an empty
                fleet.
        """
        if not self._is_running:
            raise SnapshotNotRunning
        return self

    async def _follow(self) -> None:
        frames = self._bus.subscribe(FRAMES)
        self._bus.publish(WANTED, b"")
        try:
            async for payload in frames:
                frame = cast(Frame, _decode(payload))  # our own worker wrote it
                if frames.take_missed():
                    self._missed(*self.services, frame["service"])
                self._follow_numbers(frame)
                if _is_empty(frame) and frame["service"] not in self.services:
                    continue
                self._pass_summary(frame)
                self.merge(frame)
                if self._listeners:
                    text = payload.decode()
                    for listener in tuple(self._listeners):
                        listener(frame["service"], text)
        finally:
            frames.close()

    def _follow_numbers(self, frame: Frame) -> None:
        """Ask for full frames while one is missing: what changed in a lost frame is not repeated
        by the next. Asked again until one comes, as the question can be lost too."""
        name = frame["service"]
        if frame["full"]:
            self._incomplete.discard(name)
        elif frame["seq"] != self.services.get(name, _UNKNOWN).seq + 1:
            self._missed(name)
        now = self._now()
        if self._asked_times >= _ASK_TIMES:
            self._incomplete.clear()
        elif self._incomplete and now - self._asked_at >= _ASK_AGAIN_S:
            self._asked_at = now
            self._asked_times += 1
            self._bus.publish(WANTED, b"")

    def _missed(self, *services: str) -> None:
        self._incomplete.update(services)
        self._asked_times = 0

    def _pass_summary(self, frame: Frame) -> None:
        """Pass the summary of a frame on: one serialisation for all listeners."""
        if not self._summary_listeners:
            return
        frame = {**frame, "breakers": list(views(frame))}
        before = self.services.get(frame["service"]) or ServiceSnapshot()
        summary = summary_frame(frame, before.instances)
        text = msgspec.json.encode(summary).decode()
        for listener in tuple(self._summary_listeners):
            listener(frame["service"], text)

    def merge(self, frame: Frame) -> None:
        """Merge one frame. A service without instances and breakers is removed; it stays in
        history."""
        if _is_empty(frame):
            self.services.pop(frame["service"], None)
        else:
            self.services.setdefault(frame["service"], ServiceSnapshot()).merge(frame)
        self.at = frame["at"]
        self._encoded.clear()

    def listen(self, listener: Listener, summary: bool = False) -> None:
        """Call `listener(service, text)` with each frame from now on, whole or as a summary."""
        (self._summary_listeners if summary else self._listeners).add(listener)

    def forget(self, listener: Listener) -> None:
        """Stop calling `listener`."""
        self._listeners.discard(listener)
        self._summary_listeners.discard(listener)

    def snapshot(
        self, wanted: Iterable[str] | None = None, summary: bool = False
    ) -> dict[str, Any]:
        """Everything known of the wanted services, or of all. `at` is Unix time of the latest
        frame, `now` of this moment: when they are far apart, the fleet's worker is silent."""
        names = set(self.services) if wanted is None else set(wanted) & set(self.services)
        return {
            "type": "snapshot",
            "at": self.at,
            "now": self._wall(),
            "services": [self._service(name, summary) for name in sorted(names)],
        }

    def encoded(self, wanted: frozenset[str] | None, summary: bool) -> str:
        """The encoded snapshot for browsers. It is encoded once for all that ask between two
        frames."""
        text = self._encoded.get((wanted, summary))
        if text is None:
            if len(self._encoded) >= _ENCODED_KEPT:
                self._encoded.clear()
            text = msgspec.json.encode(self.snapshot(wanted, summary)).decode()
            self._encoded[wanted, summary] = text
        return text

    def _service(self, name: str, summary: bool) -> dict[str, Any]:
        service = self.services[name]
        breakers, instances = list(service.breakers.values()), list(service.instances.values())
        return {
            "name": name,
            "seq": service.seq,
            "interval_s": service.interval_s,
            "over_capacity": service.over_capacity,
            "instances": instances,
            "breakers": breakers,
            **(summary_service(breakers, instances) if summary else {}),
        }

    def has_capacity(self, service: str, instance: str) -> bool:
        """Whether the service can take this instance, or has it already."""
        known = self.services.get(service)
        return known is None or len(known.instances) < MAX_INSTANCES or instance in known.instances

    def knows(self, service: str, instance: str) -> bool:
        """Whether an instance is shown."""
        known = self.services.get(service)
        return known is not None and instance in known.instances

    def over_capacity(self, service: str, instance: str) -> list[str]:
        """Breakers of an instance beyond the capacity of its service, the first few."""
        known = self.services.get(service)
        view = known.instances.get(instance) if known is not None else None
        return view.get("over_capacity", []) if view is not None else []

    def breaker(self, service: str, name: str) -> BreakerView | None:
        """The latest view of one breaker."""
        known = self.services.get(service)
        return known.breakers.get(name) if known else None


def _is_empty(frame: Frame) -> bool:
    """Whether a frame says that the service is gone."""
    return frame["full"] and not frame["instances"] and not frame["breakers"]
