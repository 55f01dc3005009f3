"""The desired state of each service, composed once for all its sockets, told at each change."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import Final

import msgspec
from channels.db import database_sync_to_async
from django.conf import settings
from django.db import transaction

from breakers.protocol import messages as wire
from dashboard.bus import Bus
from dashboard.control import queries as control
from dashboard.fleet import services as fleet
from dashboard.policies import queries as policies

# A change is told at once; this is only for one whose telling was lost.
_TTL_S: Final = 5.0


@transaction.atomic
def compose(service: str) -> wire.Desired:
    """The desired state as the database has it now, of one revision."""
    return wire.Desired(
        revision=fleet.revision(service),
        overrides=control.active_overrides(service),
        policies=policies.in_force(service),
        interval_s=settings.REPORT_INTERVAL_S,
    )


class DesiredFeed:
    """Wakes whoever listens to a service, and hands out its desired state."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._composed: dict[str, tuple[float, wire.Desired]] = {}
        self._composing: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._listeners: dict[str, set[asyncio.Event]] = defaultdict(set)

    async def run(self) -> None:
        """Follow the changes until cancelled."""
        changes = self._bus.subscribe(fleet.DESIRED)
        try:
            async for payload in changes:
                if changes.take_missed():
                    self._composed.clear()
                    self._wake(*self._listeners)
                service = payload.decode()
                self._composed.pop(service, None)
                self._wake(service)
        finally:
            changes.close()

    def _wake(self, *services: str) -> None:
        for service in services:
            for event in self._listeners.get(service, ()):
                event.set()

    def listen(self, service: str, event: asyncio.Event) -> None:
        """Set `event` whenever the service's desired state changes."""
        self._listeners[service].add(event)

    def forget(self, service: str, event: asyncio.Event) -> None:
        """Stop setting `event`."""
        self._listeners[service].discard(event)
        if not self._listeners[service]:
            del self._listeners[service]

    async def get(self, service: str) -> wire.Desired:
        """The desired state as of now; expiries count from now."""
        async with self._composing[service]:
            kept = self._composed.get(service)
            if kept is None or time.monotonic() - kept[0] > _TTL_S:
                kept = (time.monotonic(), await database_sync_to_async(compose)(service))
                self._composed[service] = kept
        age = time.monotonic() - kept[0]
        return msgspec.structs.replace(
            kept[1],
            server_time=time.time(),
            overrides=[
                msgspec.structs.replace(each, expires_in_s=each.expires_in_s - age)
                for each in kept[1].overrides
                if each.expires_in_s is not None and each.expires_in_s > age
            ],
        )
