"""The way of a message to the log: acknowledgements are stored in batches, reports are charged to
their service.

After one action hundreds of instances answer within a moment. Those that come while a batch is
being stored share the next transaction.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from channels.db import database_sync_to_async
from django.db import DataError, IntegrityError

from breakers.protocol import messages as wire
from dashboard.api.agents.budgets import ServiceBudgets
from dashboard.api.agents.capacity import Capacity
from dashboard.api.agents.error_replies import refusal
from dashboard.bus import Bus
from dashboard.fleet.membership import MAX_INSTANCES
from dashboard.history import recordings

logger = logging.getLogger("switchgear.agents")

_BATCH: Final = 2000
# A transaction costs about as much as three hundred of its rows; so long is gathered for each.
_GATHER_S: Final = 0.02
# Failures caused by the content of a batch; others are the database's own.
_CONTENT_ERRORS: Final = (DataError, IntegrityError, ValueError, TypeError, LookupError)

StoreRecording = Callable[[str, wire.Recording], object]
Record = Callable[[Sequence[tuple[str, wire.Ack]]], None]
_Waiting = tuple[tuple[str, wire.Ack], asyncio.Future[None]]


class MessageInbox:
    """Passes messages on to the bus. An acknowledgement is stored first, with `record`."""

    def __init__(
        self,
        inner: Bus,
        record: Record,
        capacity: Capacity,
        budgets: ServiceBudgets | None = None,
        store_recording: StoreRecording = recordings.store,
    ) -> None:
        self._inner = inner
        self._record = record
        self._store_recording = store_recording
        self._capacity = capacity
        self._budgets = budgets or ServiceBudgets()
        self._waiting: list[_Waiting] = []
        self._storing: asyncio.Task[None] | None = None

    async def admit(self, service: str, size: int) -> None:
        """Charge the bytes of a message, before it is decoded.

        Raises:
            WireError: the service has used up its budget.
        """
        await self._budgets.charge_bytes(service, size)

    async def append(
        self, service: str, message: wire.FromAgent, packed: bytes
    ) -> asyncio.Future[None]:
        """Pass a message on.

        Raises:
            WireError: the service has no capacity for this instance, or has used up a budget; the
                agent sends it again later.
        """
        if isinstance(message, wire.Recording):
            await self._keep_recording(service, message)
            return _done()
        if isinstance(message, wire.Ack):
            if self._is_known(service, message.instance):
                await self._keep(service, message)
        elif not self._capacity.has_capacity(service, message.instance.id):
            raise wire.WireError(
                refusal(
                    "busy",
                    f"{service!r} has {MAX_INSTANCES} instances, the most that one service can "
                    f"have; {message.instance.id!r} has to wait until one of them is forgotten",
                    "$.instance.id",
                )
            )
        else:
            await self._budgets.charge(service, message, len(packed))
        return await self._inner.append(service, packed)

    def _is_known(self, service: str, instance: str) -> bool:
        """Whether an instance has reported. Others have nothing to acknowledge."""
        return self._budgets.knows(service, instance) or self._capacity.knows(service, instance)

    async def _keep_recording(self, service: str, recording: wire.Recording) -> None:
        """Store a recording of an instance that has reported. One that cannot be stored is lost: no
        report waits for it."""
        is_known = self._is_known(service, recording.instance)
        if not is_known or not self._budgets.admits_recording(service, len(recording.offset_us)):
            return
        try:
            await database_sync_to_async(self._store_recording)(service, recording)
        except Exception:
            logger.exception("a recording of %r cannot be stored", service)

    async def _keep(self, service: str, ack: wire.Ack) -> None:
        """Raises what storing it raised."""
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(((service, ack), kept))
        if self._storing is None:
            self._storing = asyncio.create_task(self._store(), name="acknowledgements")
        await kept

    async def _store(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(_GATHER_S)
                batch = self._waiting[:_BATCH]
                del self._waiting[:_BATCH]
                error = await self._try(batch)
                if isinstance(error, _CONTENT_ERRORS):
                    await self._store_by_service(batch)
                else:
                    _settle(batch, error)
        finally:
            self._storing = None

    async def _store_by_service(self, batch: list[_Waiting]) -> None:
        """One service's bad data must not fail the others."""
        services: dict[str, list[_Waiting]] = {}
        for each in batch:
            services.setdefault(each[0][0], []).append(each)
        for service, part in services.items():
            error = await self._try(part)
            if error is not None:
                logger.error("acknowledgements of %r cannot be stored: %s", service, error)
            _settle(part, error)

    async def _try(self, batch: list[_Waiting]) -> Exception | None:
        try:
            await database_sync_to_async(self._record)([each for each, _ in batch])
        except Exception as error:
            return error
        return None


def _done() -> asyncio.Future[None]:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done


def _settle(batch: list[_Waiting], error: Exception | None) -> None:
    for _, kept in batch:
        if kept.done():
            continue
        if error is None:
            kept.set_result(None)
        else:
            kept.set_exception(error)
