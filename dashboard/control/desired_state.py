"""The desired state of a service: overrides and policies of one revision, cached and encoded.

It is composed once for all of a service's agents, and again after each change. `policies` is given
by the caller: control and policies do not import each other.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec
from channels.db import database_sync_to_async
from django.conf import settings
from django.db import transaction

from breakers.protocol import messages as wire
from breakers.protocol.ageing import aged
from breakers.protocol.codec import Codec
from dashboard.control import drills, queries, recordings
from dashboard.fleet import services as fleet

PoliciesInForce = Callable[[str], list[wire.PolicyItem]]

# Changes are announced at once; this finds one whose announcement was lost. It is shorter than the
# five seconds between two looks of a connection, so that what one look has read is old at the next.
_TTL_S: Final = 4.0
# Agents tell an expiry apart from another by a second: this much older is the same.
_ENCODED_TTL_S: Final = 0.5
_SERVICES_KEPT: Final = 10_000


class Encoded(NamedTuple):
    """A desired state as bytes, and its revision."""

    revision: int
    data: bytes


class _Composed:
    __slots__ = ("at", "desired", "encoded")

    def __init__(self, at: float, desired: wire.Desired) -> None:
        self.at = at
        self.desired = desired
        self.encoded: dict[str, tuple[float, bytes]] = {}


class DesiredState:
    """The desired states of all services, as one process of the dashboard knows them."""

    def __init__(
        self, policies: PoliciesInForce, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._policies = policies
        self._now = now
        self._composed: OrderedDict[str, _Composed] = OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}

    @transaction.atomic
    def compose(self, service: str) -> wire.Desired:
        """The desired state as the database has it now, of one revision."""
        return wire.Desired(
            revision=fleet.revision(service),
            overrides=queries.active_overrides(service),
            policies=self._policies(service),
            interval_s=settings.REPORT_INTERVAL_S,
            recordings=recordings.orders(service),
            faults=drills.orders(service),
        )

    def changed(self, service: str | None = None) -> None:
        """Compose anew at the next use: for one service, or for all."""
        if service is None:
            self._composed.clear()
        else:
            self._composed.pop(service, None)

    async def get(self, service: str) -> wire.Desired:
        """The desired state as of now; expiries count from now."""
        return self._as_of_now(await self._current(service))

    async def encoded(
        self,
        service: str,
        codec: Codec,
        over_capacity: Sequence[str] = (),
        warm_starts: Sequence[wire.WarmStart] = (),
    ) -> Encoded:
        """The desired state for one agent. Agents that nothing is special about share the bytes."""
        composed = await self._current(service)
        revision = composed.desired.revision
        if over_capacity or warm_starts:
            desired = self._as_of_now(composed)
            desired.over_capacity = list(over_capacity)
            desired.warm_starts = list(warm_starts)
            return Encoded(revision, codec.encode(desired))
        at, data = composed.encoded.get(codec.name, (0.0, b""))
        now = self._now()
        if not data or now - at > _ENCODED_TTL_S:
            data = codec.encode(self._as_of_now(composed))
            composed.encoded[codec.name] = (now, data)
        return Encoded(revision, data)

    def _as_of_now(self, composed: _Composed) -> wire.Desired:
        return msgspec.structs.replace(
            aged(composed.desired, self._now() - composed.at), server_time=time.time()
        )

    async def _current(self, service: str) -> _Composed:
        while True:
            known = self._composed.get(service)
            if known is not None and self._now() - known.at <= _TTL_S:
                return known
            lock = self._locks.get(service)
            if lock is None:
                return await self._compose(service)
            async with lock:
                pass

    async def _compose(self, service: str) -> _Composed:
        """One query for all that wait for the same service."""
        lock = self._locks[service] = asyncio.Lock()
        try:
            async with lock:
                at = self._now()
                desired = await database_sync_to_async(self.compose)(service)
                composed = _Composed(at, desired)
                self._composed[service] = composed
                self._composed.move_to_end(service)
                if len(self._composed) > _SERVICES_KEPT:
                    self._composed.popitem(last=False)
                return composed
        finally:
            del self._locks[service]
