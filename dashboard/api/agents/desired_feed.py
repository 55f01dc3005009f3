"""Notifies the connections of a service when its desired state changes."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

from channels.db import database_sync_to_async
from django.db import DatabaseError

from breakers.protocol import messages as wire
from breakers.protocol.codec import Codec
from dashboard.bus import Bus
from dashboard.control.desired_state import DesiredState, Encoded
from dashboard.fleet.services import DESIRED

logger = logging.getLogger("switchgear.agents")

# An agent that was offline at first has learnt for itself what others know.
_JUST_STARTED_S: Final = 10.0
# Connections that are woken before everything else has its turn.
_AT_ONCE: Final = 100

WarmStarts = Callable[[str, str], Sequence[wire.WarmStart]]


def _cold(service: str, instance: str) -> Sequence[wire.WarmStart]:
    return ()


def begins(report: wire.Report) -> bool:
    """Whether a report is the first of a process that has just started."""
    return report.seq == 1 and report.age_s + report.interval_s <= _JUST_STARTED_S


class DesiredFeed:
    """Sets the event of each connection of a service, and hands out its desired state."""

    def __init__(
        self, bus: Bus, desired_state: DesiredState, warm_starts: WarmStarts = _cold
    ) -> None:
        self._warm_starts = warm_starts
        self._bus = bus
        self._desired_state = desired_state
        self._listeners: dict[str, set[asyncio.Event]] = defaultdict(set)

    async def run(self) -> None:
        """Follow the changes until cancelled. After a failure it is run again: whatever was
        announced in between is announced to all."""
        changes = self._bus.subscribe(DESIRED)
        await self._announce_all()
        try:
            async for payload in changes:
                if changes.take_missed():
                    await self._announce_all()
                service = payload.decode()
                self._desired_state.changed(service)
                await self._wake(service)
        finally:
            changes.close()

    async def _announce_all(self) -> None:
        self._desired_state.changed()
        for service in tuple(self._listeners):
            await self._wake(service)

    async def _wake(self, service: str) -> None:
        events = tuple(self._listeners.get(service, ()))
        if events:
            await self._compose(service)
        for start in range(0, len(events), _AT_ONCE):
            for event in events[start : start + _AT_ONCE]:
                event.set()
            await asyncio.sleep(0)

    async def _compose(self, service: str) -> None:
        """Have the desired state at hand, so that no connection waits for another to read it."""
        try:
            await self._desired_state.get(service)
        except DatabaseError:
            logger.exception("the desired state of %s cannot be read", service)

    def listen(self, service: str, event: asyncio.Event) -> None:
        """Set `event` whenever the desired state of the service changes."""
        self._listeners[service].add(event)

    def forget(self, service: str, event: asyncio.Event) -> None:
        """Stop setting `event`."""
        self._listeners[service].discard(event)
        if not self._listeners[service]:
            del self._listeners[service]

    async def encoded(
        self, service: str, codec: Codec, over_capacity: Sequence[str], new: str = ""
    ) -> Encoded:
        """The desired state as of now, for one agent; `new` names an instance that has just started
        and takes over the state of the others."""
        warm = await database_sync_to_async(self._warm_starts)(service, new) if new else ()
        return await self._desired_state.encoded(service, codec, over_capacity, warm)
