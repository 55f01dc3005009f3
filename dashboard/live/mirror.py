"""What this process knows of the fleet: frames laid over one another. One subscription feeds it,
and every browser's snapshot and every page's first view are read from it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from dashboard.bus import Bus
from dashboard.fleet.views import BreakerView, Frame, InstanceView
from dashboard.fleet.worker import FRAMES, WANTED

logger = logging.getLogger("switchgear.live")
Listener = Callable[[str, bytes], None]


@dataclass(slots=True)
class MirroredService:
    """The latest of one service, and the number of the frame that brought it."""

    seq: int = 0
    interval_s: float = 1.0
    breakers: dict[str, BreakerView] = field(default_factory=dict)
    instances: dict[str, InstanceView] = field(default_factory=dict)


class Mirror:
    """Follows the frames, and passes each on to its listeners as the bytes it came in."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._listeners: set[Listener] = set()
        self._following: asyncio.Task[None] | None = None
        self.services: dict[str, MirroredService] = {}
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
                self.lay(frame)
                for listener in tuple(self._listeners):
                    listener(frame["service"], payload)
        finally:
            frames.close()

    def lay(self, frame: Frame) -> None:
        """Lay one frame over what is known."""
        service = self.services.setdefault(frame["service"], MirroredService())
        if frame["full"]:
            service.breakers.clear()
            service.instances.clear()
        service.seq = frame["seq"]
        service.interval_s = frame["interval_s"]
        service.breakers.update({each["name"]: each for each in frame["breakers"]})
        service.instances.update({each["id"]: each for each in frame["instances"]})
        for name in frame["removed"]["breakers"]:
            service.breakers.pop(name, None)
        for id in frame["removed"]["instances"]:
            service.instances.pop(id, None)
        self.at = frame["at"]

    def listen(self, listener: Listener) -> None:
        """Call `listener(service, payload)` with each frame from now on."""
        self._listeners.add(listener)

    def forget(self, listener: Listener) -> None:
        """Stop calling `listener`."""
        self._listeners.discard(listener)

    def snapshot(self, wanted: Iterable[str] | None = None) -> dict[str, Any]:
        """Everything known of the wanted services, or of all."""
        names = set(self.services) if wanted is None else set(wanted) & set(self.services)
        return {
            "type": "snapshot",
            "at": self.at,
            "services": [
                {
                    "name": name,
                    "seq": self.services[name].seq,
                    "interval_s": self.services[name].interval_s,
                    "instances": list(self.services[name].instances.values()),
                    "breakers": list(self.services[name].breakers.values()),
                }
                for name in sorted(names)
            ],
        }

    def breaker(self, service: str, name: str) -> BreakerView | None:
        """The latest view of one breaker."""
        mirrored = self.services.get(service)
        return mirrored.breakers.get(name) if mirrored else None
