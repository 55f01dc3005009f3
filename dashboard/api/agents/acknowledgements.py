"""What happens to messages on their way to the log: acknowledgements become rows, and instances
for which a service has no room are sent away.

After one act hundreds of instances answer within a moment. Whoever comes while others are being
stored waits for the next transaction, and shares it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from channels.db import database_sync_to_async

from breakers.protocol import messages as wire
from dashboard.api.agents.capacity import Capacity
from dashboard.api.agents.error_replies import refusal
from dashboard.bus import Bus
from dashboard.fleet.membership import MAX_INSTANCES

_TOGETHER: Final = 1000

Record = Callable[[Sequence[tuple[str, wire.Ack]]], None]


class AckKeeper:
    """Passes messages on to the bus. An acknowledgement is stored first, with `record`."""

    def __init__(self, inner: Bus, record: Record, capacity: Capacity) -> None:
        self._inner = inner
        self._record = record
        self._capacity = capacity
        self._waiting: list[tuple[tuple[str, wire.Ack], asyncio.Future[None]]] = []
        self._storing: asyncio.Task[None] | None = None

    async def append(
        self, service: str, message: wire.FromAgent, packed: bytes
    ) -> asyncio.Future[None]:
        """Pass a message on.

        Raises:
            WireError: there is no room for this instance; it should come again later.
        """
        if isinstance(message, wire.Ack):
            await self._keep(service, message)
        elif not self._capacity.has_capacity(service, message.instance.id):
            raise wire.WireError(
                refusal(
                    "busy",
                    f"{service!r} has {MAX_INSTANCES} instances, as many as are watched of a "
                    f"service; {message.instance.id!r} has to wait until one of them is forgotten",
                    "$.instance.id",
                )
            )
        return await self._inner.append(service, packed)

    async def _keep(self, service: str, ack: wire.Ack) -> None:
        """Raises what storing it raised."""
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(((service, ack), kept))
        if self._storing is None:
            self._storing = asyncio.create_task(self._store(), name="acks")
        await kept

    async def _store(self) -> None:
        try:
            while self._waiting:
                some = self._waiting[:_TOGETHER]
                del self._waiting[:_TOGETHER]
                error: Exception | None = None
                try:
                    await database_sync_to_async(self._record)([each for each, _ in some])
                except Exception as raised:
                    error = raised
                for _, kept in some:
                    if kept.done():
                        continue
                    if error is None:
                        kept.set_result(None)
                    else:
                        kept.set_exception(error)
        finally:
            self._storing = None
