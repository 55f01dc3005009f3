"""What this process knows of the fleet: frames laid over one another. One subscription feeds it,
and every browser's snapshot and every page's first view are read from it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from dashboard.bus import Bus
from dashboard.fleet.frame_types import (
    BreakerAtInstance,
    BreakerView,
    Frame,
    InstanceView,
    OverCapacityView,
)
from dashboard.fleet.membership import MAX_INSTANCES
from dashboard.fleet.recent_window import SECONDS
from dashboard.fleet.snapshot.summary import summary_frame, summary_service
from dashboard.fleet.worker import FRAMES, WANTED

logger = logging.getLogger("switchgear.live")
Listener = Callable[[str, str], None]
_TOLD_KEPT: Final = 32


def go_on(view: BreakerView, before: BreakerView | None, by: int) -> None:
    """Lay the last seconds of a breaker over the minute that is known of it, which ended `by`
    seconds earlier."""
    minute = (before["spark"], before["spark_err"]) if before else ([], [])
    view["spark"] = _slid(minute[0], view.pop("tail"), by)
    view["spark_err"] = _slid(minute[1], view.pop("tail_err"), by)


def _slid(minute: list[int], tail: list[int], by: int) -> list[int]:
    minute = minute or [0] * SECONDS
    if by > 0:
        by = min(by, SECONDS)
        minute = minute[by:] + [0] * by
    return minute[: SECONDS - len(tail)] + tail


@dataclass(slots=True)
class ServiceSnapshot:
    """The latest of one service, and the number of the frame that brought it."""

    seq: int = 0
    interval_s: float = 1.0
    breakers: dict[str, BreakerView] = field(default_factory=dict)
    instances: dict[str, InstanceView] = field(default_factory=dict)
    # Each breaker's instances: frames bring only those that have changed.
    at: dict[str, dict[str, BreakerAtInstance]] = field(default_factory=dict)
    # The second that each breaker's last minute ends with.
    seconds: dict[str, int] = field(default_factory=dict)
    over_capacity: OverCapacityView = field(
        default_factory=lambda: OverCapacityView(instances=0, breakers=0)
    )

    def lay(self, frame: Frame) -> None:
        """Lay one frame over what is known."""
        if frame["full"]:
            self.breakers.clear()
            self.instances.clear()
            self.at.clear()
            self.seconds.clear()
        self.seq = frame["seq"]
        self.interval_s = frame["interval_s"]
        self.over_capacity = frame["over_capacity"]
        self.instances.update({each["id"]: each for each in frame["instances"]})
        for id in frame["removed"]["instances"]:
            self.instances.pop(id, None)
            for name, known in self.at.items():
                if known.pop(id, None) is not None and name in self.breakers:
                    self.breakers[name]["instances"] = list(known.values())
        second = int(frame["at"])
        for each in frame["breakers"]:
            name = each["name"]
            before = self.breakers.get(name)
            if each["instances"] or before is None:
                each["instances"] = self._at(name, each["instances"])
            else:
                each["instances"] = before["instances"]
            if "tail" in each:
                go_on(each, before, second - self.seconds.get(name, second))
            self.seconds[name] = second
            self.breakers[name] = each
        for name in frame["removed"]["breakers"]:
            self.breakers.pop(name, None)
            self.at.pop(name, None)
            self.seconds.pop(name, None)

    def _at(self, name: str, changed: Iterable[BreakerAtInstance]) -> list[BreakerAtInstance]:
        """What is known of a breaker at each instance, in order, with what has changed."""
        known = self.at.get(name, {})
        at = known | {each["id"]: each for each in changed}
        if len(at) > len(known):
            at = dict(sorted(at.items()))
        self.at[name] = at
        return list(at.values())


class FleetSnapshot:
    """Follows the frames, and passes each on to its listeners as the bytes it came in."""

    def __init__(self, bus: Bus, wall: Callable[[], float] = time.time) -> None:
        self._bus = bus
        self._wall = wall
        self._listeners: set[Listener] = set()
        self._lean_listeners: set[Listener] = set()
        self._following: asyncio.Task[None] | None = None
        self._told: dict[tuple[frozenset[str] | None, bool], str] = {}
        self.services: dict[str, ServiceSnapshot] = {}
        self.at = 0.0

    def start(self) -> None:
        """Begin to follow, inside the running event loop."""
        self._following = asyncio.create_task(self._follow(), name="live")

    async def stop(self) -> None:
        """Stop following."""
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following

    async def _follow(self) -> None:
        frames = self._bus.subscribe(FRAMES)
        self._bus.publish(WANTED, b"")
        try:
            async for payload in frames:
                if frames.take_missed():
                    self._bus.publish(WANTED, b"")
                frame: Frame = msgspec.json.decode(payload)  # our own worker wrote it
                if _is_empty(frame) and frame["service"] not in self.services:
                    continue
                self._pass_lean(frame)
                self.lay(frame)
                if self._listeners:
                    text = payload.decode()
                    for listener in tuple(self._listeners):
                        listener(frame["service"], text)
        finally:
            frames.close()

    def _pass_lean(self, frame: Frame) -> None:
        """Tell those who want the wall's frames: one serialisation for all of them."""
        if not self._lean_listeners:
            return
        before = self.services.get(frame["service"]) or ServiceSnapshot()
        summary = summary_frame(frame, before.instances)
        text = msgspec.json.encode(summary).decode()
        for listener in tuple(self._lean_listeners):
            listener(frame["service"], text)

    def lay(self, frame: Frame) -> None:
        """Lay one frame over what is known. A service of which nobody is left is not shown any
        more; it stays in history."""
        if _is_empty(frame):
            self.services.pop(frame["service"], None)
        else:
            self.services.setdefault(frame["service"], ServiceSnapshot()).lay(frame)
        self.at = frame["at"]
        self._told.clear()

    def listen(self, listener: Listener, summary: bool = False) -> None:
        """Call `listener(service, text)` with each frame from now on, as it is or lean."""
        (self._lean_listeners if summary else self._listeners).add(listener)

    def forget(self, listener: Listener) -> None:
        """Stop calling `listener`."""
        self._listeners.discard(listener)
        self._lean_listeners.discard(listener)

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

    def counters(self, wanted: frozenset[str] | None, summary: bool) -> str:
        """The snapshot as browsers are told it. It is made once for all that ask between two
        frames: after a gap they all do."""
        text = self._told.get((wanted, summary))
        if text is None:
            if len(self._told) >= _TOLD_KEPT:
                self._told.clear()
            text = msgspec.json.encode(self.snapshot(wanted, summary)).decode()
            self._told[wanted, summary] = text
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
        """Whether the fleet can take this instance in, or has done so already."""
        known = self.services.get(service)
        return known is None or len(known.instances) < MAX_INSTANCES or instance in known.instances

    def over_capacity(self, service: str, instance: str) -> list[str]:
        """Breakers of an instance that its service has no room for, the first few."""
        known = self.services.get(service)
        view = known.instances.get(instance) if known is not None else None
        return view.get("over_capacity", []) if view is not None else []

    def breaker(self, service: str, name: str) -> BreakerView | None:
        """The latest view of one breaker."""
        mirrored = self.services.get(service)
        return mirrored.breakers.get(name) if mirrored else None


def _is_empty(frame: Frame) -> bool:
    """Whether a frame says that there is nobody."""
    return frame["full"] and not frame["instances"] and not frame["breakers"]
